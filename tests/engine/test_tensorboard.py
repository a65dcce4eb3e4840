"""Curves for TensorBoard are the history, written while a training runs, and change nothing of it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.engine.test_loop import Linear, Rows, Scores, fit
from vidkd.engine.run import RUN_FILES, write_files
from vidkd.engine.tensorboard import EVENTS, SWITCH
from vidkd.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"epochs": 3, "validate_steps": 2}
"""Nine steps, of which every other and the last have a row; the state is saved after each third."""


@pytest.fixture
def switched_on(monkeypatch):
    monkeypatch.setenv(SWITCH, "1")


def train(run: Path, data: Rows | None = None, **settings) -> None:
    """Train, and write the files of the run."""
    progress, _ = fit(run / ".state", data or Rows(), Linear(noise=0.5), **(SETTINGS | settings))
    write_files(run, progress.history, {}, progress.best_weights)


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of every point of every curve, as TensorBoard reads them."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    names = events.Tags()["scalars"]
    return {name: [(point.step, point.value) for point in events.Scalars(name)] for name in names}


def rows(run: Path, steps: list[int]) -> dict[str, list[tuple[int, float]]]:
    """The same of `history.csv`."""
    history = pd.read_csv(run / "history.csv")
    columns = {name: history[name] for name in history}
    return {
        name: [(step, pytest.approx(value, rel=1e-6)) for step, value in zip(steps, column, strict=True)
               if value == value]
        for name, column in columns.items()
    }  # fmt: skip


@pytest.mark.usefixtures("switched_on")
def test_the_curves_are_the_history(tmp_path):
    train(tmp_path)
    assert curves(tmp_path / "tensorboard") == rows(tmp_path, [2, 4, 6, 8, 9])
    assert set(curves(tmp_path / "tensorboard")) >= {"epoch", "lr", "ce_loss", "late_loss", "val_acc"}


def test_nothing_else_of_a_run_changes(tmp_path, monkeypatch):
    train(tmp_path / "off")
    monkeypatch.setenv(SWITCH, "1")
    train(tmp_path / "on")
    assert not (tmp_path / "off/tensorboard").exists()
    assert len(list((tmp_path / "on/tensorboard").glob(EVENTS))) == 1
    for name in RUN_FILES:
        assert (tmp_path / "on" / name).read_bytes() == (tmp_path / "off" / name).read_bytes()


@pytest.mark.usefixtures("switched_on")
def test_points_are_there_while_the_training_runs(tmp_path):
    seen = []

    class Looking(Scores):
        def __call__(self, method):
            folder = tmp_path / "tensorboard"
            seen.append(len(curves(folder)["lr"]) if folder.exists() else 0)
            return super().__call__(method)

    train(tmp_path, validate=Looking())
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("switched_on")
def test_a_run_that_failed_and_went_on_has_each_step_once(tmp_path):
    """The row after step 4 is written, its state is not: it is trained and written again."""
    with pytest.raises(RuntimeError, match="went away"):
        train(tmp_path, Rows(fails_at=(1, 2)))
    assert [step for step, _ in curves(tmp_path / "tensorboard")["lr"]] == [2, 4]
    train(tmp_path)
    assert len(list((tmp_path / "tensorboard").glob(EVENTS))) == 2
    assert curves(tmp_path / "tensorboard") == rows(tmp_path, [2, 4, 6, 8, 9])


KILLED = """
import os, signal
from pathlib import Path
from tests.engine import test_loop, test_tensorboard

class Killing(test_loop.Scores):
    def __call__(self, method):
        if len(self.weights) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(method)

test_tensorboard.train(Path({run!r}), validate=Killing())
"""


@pytest.mark.usefixtures("switched_on")
def test_a_killed_run_has_each_step_once(tmp_path):
    program = KILLED.format(run=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    assert [step for step, _ in curves(tmp_path / "tensorboard")["lr"]] == [2, 4, 6]
    # TensorBoard reads files in the order of the seconds in their names; no job starts anew in the same one.
    time.sleep(1)
    train(tmp_path)
    assert curves(tmp_path / "tensorboard") == rows(tmp_path, [2, 4, 6, 8, 9])


@pytest.mark.usefixtures("switched_on")
def test_a_run_that_is_trained_anew_has_only_its_own_points(tmp_path):
    train(tmp_path, epochs=5)
    for file in (tmp_path / ".state").iterdir():
        file.unlink()
    (tmp_path / "tensorboard/notes.txt").write_text("mine")
    train(tmp_path)
    assert curves(tmp_path / "tensorboard") == rows(tmp_path, [2, 4, 6, 8, 9])
    assert (tmp_path / "tensorboard/notes.txt").exists()


@pytest.mark.usefixtures("switched_on")
def test_a_finished_run_that_is_called_again_stays_as_it_is(tmp_path):
    train(tmp_path)
    before = curves(tmp_path / "tensorboard")
    train(tmp_path)
    assert curves(tmp_path / "tensorboard") == before


@pytest.mark.usefixtures("switched_on")
def test_trials_have_a_folder_each(tmp_path):
    fit(tmp_path / ".state/trial0", Rows(), epochs=1)
    fit(tmp_path / ".state/trial1", Rows(), epochs=2)
    assert [len(curves(tmp_path / "tensorboard" / name)["lr"]) for name in ("trial0", "trial1")] == [1, 2]


@pytest.mark.usefixtures("switched_on")
def test_a_folder_that_cannot_be_written_ends_the_curves_alone(tmp_path, caplog):
    (tmp_path / "tensorboard").write_text("in the way")
    train(tmp_path)
    assert len(pd.read_csv(tmp_path / "history.csv")) == 5
    assert caplog.text.count("no curves for TensorBoard") == 1


@pytest.mark.usefixtures("switched_on")
def test_a_missing_package_is_said_before_anything_is_trained(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("tensorboard", "torch.utils.tensorboard"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    validate = Scores()
    with pytest.raises(UserError, match=r"pip install '\.\[tensorboard\]'"):
        train(tmp_path, validate=validate)
    assert validate.weights == []
    monkeypatch.setenv(SWITCH, "0")
    train(tmp_path)
