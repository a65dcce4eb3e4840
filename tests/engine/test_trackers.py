"""Trackers show the history while a training runs, and change no file of the run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from accelerate import tracking
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.engine.test_loop import Linear, Rows, Scores, fit
from vidkd.engine.run import RUN_FILES, write_files
from vidkd.engine.trackers import SWITCH
from vidkd.errors import UserError

EVENTS = "tensorboard/vidkd"
SETTINGS = {"epochs": 3, "validate_steps": 2}
"""The state is saved after each third step."""
STEPS = (2, 4, 6, 8, 9)
"""Those with a row: every other one, and the last."""


@pytest.fixture
def tensorboard(monkeypatch):
    monkeypatch.setenv(SWITCH, "tensorboard")


def train(run: Path, data: Rows | None = None, **settings) -> None:
    """Train, and write the files of the run."""
    progress, _ = fit(run / ".state", data or Rows(), Linear(noise=0.5), **(SETTINGS | settings))
    write_files(run, progress.history, {}, progress.best_weights)


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of every point of every curve, as TensorBoard reads them."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    names = events.Tags()["scalars"]
    return {name: [(point.step, point.value) for point in events.Scalars(name)] for name in names}


def rows(run: Path) -> dict[str, list[tuple[int, float]]]:
    """The same of `history.csv`."""
    history = pd.read_csv(run / "history.csv")
    columns = {name: zip(STEPS, history[name], strict=True) for name in history}
    return {
        name: [(step, pytest.approx(value, rel=1e-6)) for step, value in points if value == value]
        for name, points in columns.items()
    }


def test_the_curves_are_the_history_and_no_file_of_the_run_changes(tmp_path, monkeypatch):
    train(tmp_path / "off")
    monkeypatch.setenv(SWITCH, "tensorboard")
    train(tmp_path / "on")
    found = curves(tmp_path / "on" / EVENTS)
    assert found == rows(tmp_path / "on")
    assert set(found) >= {"epoch", "lr", "ce_loss", "late_loss", "val_acc"}
    assert sorted(file.name for file in (tmp_path / "off").iterdir()) == [".state", *sorted(RUN_FILES)]
    for name in RUN_FILES:
        assert (tmp_path / "on" / name).read_bytes() == (tmp_path / "off" / name).read_bytes()


@pytest.mark.usefixtures("tensorboard")
def test_points_are_there_while_the_training_runs(tmp_path):
    seen = []

    class Looking(Scores):
        def __call__(self, method):
            seen.append(len(curves(tmp_path / EVENTS).get("lr", [])))
            return super().__call__(method)

    train(tmp_path, validate=Looking())
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("tensorboard")
def test_a_run_that_failed_and_went_on_has_each_step_once(tmp_path):
    """The row after step 4 is written, its state is not: it is trained and written again."""
    with pytest.raises(RuntimeError, match="went away"):
        train(tmp_path, Rows(fails_at=(1, 2)))
    assert [step for step, _ in curves(tmp_path / EVENTS)["lr"]] == [2, 4]
    train(tmp_path)
    assert len(list((tmp_path / EVENTS).iterdir())) == 2
    assert curves(tmp_path / EVENTS) == rows(tmp_path)
    train(tmp_path)  # finished already
    assert curves(tmp_path / EVENTS) == rows(tmp_path)


@pytest.mark.usefixtures("tensorboard")
def test_a_run_that_is_trained_anew_has_only_its_own_points(tmp_path):
    train(tmp_path, epochs=5)
    for file in (tmp_path / ".state").iterdir():
        file.unlink()
    (tmp_path / EVENTS / "notes.txt").write_text("mine")
    train(tmp_path)
    assert curves(tmp_path / EVENTS) == rows(tmp_path)
    assert (tmp_path / EVENTS / "notes.txt").exists()


@pytest.mark.usefixtures("tensorboard")
def test_trials_have_a_folder_each(tmp_path):
    for trial in (0, 1):
        fit(tmp_path / f".state/trial{trial}", Rows(), epochs=trial + 1)
    found = [curves(tmp_path / f"tensorboard/trial{trial}/vidkd") for trial in (0, 1)]
    assert [len(curve["lr"]) for curve in found] == [1, 2]


@pytest.mark.usefixtures("tensorboard")
def test_a_tracker_that_fails_ends_the_curves_alone(tmp_path, caplog):
    (tmp_path / "tensorboard").write_text("in the way")
    train(tmp_path)
    assert len(pd.read_csv(tmp_path / "history.csv")) == 5
    assert caplog.text.count("no curves from here on") == 1


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_missing_package_is_said_before_anything_is_trained(tmp_path, monkeypatch, name):
    monkeypatch.setattr(tracking, "_available_trackers", [])
    monkeypatch.setenv(SWITCH, name)
    validate = Scores()
    with pytest.raises(UserError, match=rf"{name} is not installed: run `pip install '\.\[{name}\]'`"):
        train(tmp_path, validate=validate)
    assert validate.weights == []


def test_each_tracker_gets_its_calls_and_names_of_the_run(tmp_path, monkeypatch):
    """What W&B and MLflow would get, which are not installed here."""
    calls = []

    class Fake(tracking.GeneralTracker):
        requires_logging_directory = False
        tracker = None

        def __init__(self, project, **options):
            super().__init__()
            calls.append((self.name, project, options))

        def log(self, values, step=None):
            calls.append((self.name, step))

        def finish(self):
            calls.append((self.name, "finish"))

    for name in ("wandb", "mlflow"):
        monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, name, type(name, (Fake,), {"name": name}))
    monkeypatch.setattr(
        tracking, "_available_trackers", [tracking.LoggerType.WANDB, tracking.LoggerType.MLFLOW]
    )
    monkeypatch.setenv(SWITCH, "wandb,mlflow")
    train(tmp_path)
    run = str(tmp_path)
    assert calls[:2] == [
        ("wandb", "vidkd", {"name": run, "dir": run}),
        ("mlflow", "vidkd", {"run_name": run}),
    ]
    steps = [(name, step) for step in (*STEPS, "finish") for name in ("wandb", "mlflow")]
    assert calls[2:] == steps
