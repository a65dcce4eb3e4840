"""FFN trained by torchrun in two processes on the CPU, against one process and against itself."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file

from tests.data.test_frames import extract, probed
from tests.data.videos import write_video
from tests.engine.torchrun import TIMEOUT_S, command, torchrun
from tests.methods.ffn.test_train import needs_of, run
from tests.road import files
from vidkd.config.base import canonical
from vidkd.config.data import FrameSettings
from vidkd.engine.checkpoint import only_run
from vidkd.methods.ffn.settings import FFNSettings

SCRIPT = "workflow_scripts.train"

pytestmark = pytest.mark.slow


SETTINGS = FFNSettings(
    arch="resnet_tiny", epochs=4, batch_size=7, optimizer="sgd", lr=0.01, clip_grad=5.0, size=32,
    crop_scales=(0.8, 1.0), shift_fraction=0.25, dropout=0.1,
)  # fmt: skip
"""Seven clips are no two equal parts; AdamW would make a step of what only rounding makes not zero."""


def arguments(stores, folder: Path, settings: FFNSettings = SETTINGS) -> list[str]:
    given = ["--needs", needs_of(stores).text(), "--settings", canonical(settings)]
    return ["ffn", *given, f"--run-dir={folder}"]


def of_this_run(folder: Path) -> list[int]:
    """Ids of the processes that torchrun has started for it."""
    found = subprocess.run(["pgrep", "-f", f"{SCRIPT}.*{folder}"], capture_output=True, text=True).stdout
    return [int(number) for number in found.split()]


@pytest.fixture(scope="module")
def straight(stores, tmp_path_factory) -> Path:
    """The run of two processes that nobody stopped."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    done = torchrun(2, SCRIPT, *arguments(stores, folder))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 4/4") == 1  # the main process alone tells
    return folder


def test_two_processes_give_what_one_gives(stores, straight, tmp_path):
    """Sums in another order differ in their last bits, which training makes more of.

    Seen after twelve steps: 2e-5 of the cross-entropy, 4e-3 of the KL terms, which are 1e-4 of it, 3e-5 of
    the weights' norm, and no accuracy. In double precision a step agrees within 1e-9: tests/engine.
    """
    run(stores, SETTINGS, tmp_path)
    one, two = (pd.read_csv(folder / "history.csv") for folder in (tmp_path, straight))
    accuracy = [name for name in one if name.startswith("val_acc")]
    assert len(accuracy) == 3
    pd.testing.assert_frame_equal(one[accuracy], two[accuracy])
    pd.testing.assert_frame_equal(one, two, rtol=2e-4, atol=1e-5)
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path, straight))
    apart = sum(float((theirs[name] - value).square().sum()) for name, value in ours.items())
    assert (apart / sum(float(value.square().sum()) for value in ours.values())) ** 0.5 < 5e-4
    assert (straight / "model.safetensors.provenance.json").exists()
    assert not (straight / ".state").exists()


@pytest.mark.parametrize("to", ["one worker", "torchrun"])
def test_a_signal_to_any_process_stops_all_and_the_same_command_ends_in_the_same_bytes(
    stores, straight, tmp_path, to
):
    again = command(2, SCRIPT, *arguments(stores, tmp_path / "stopped"))
    process = subprocess.Popen(again, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "stopped/.state/state.pt").exists():
        assert process.poll() is None
        time.sleep(0.02)
    workers = sorted(set(of_this_run(tmp_path / "stopped")) - {process.pid})
    assert len(workers) == 2
    os.kill(process.pid if to == "torchrun" else workers[1], signal.SIGTERM)
    _, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode != 0
    assert said.count("state saved") == 1
    done = subprocess.run(again, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    assert "going on from epoch" in done.stderr, done.stderr
    assert files(tmp_path / "stopped") == files(straight)


def test_the_sentence_of_one_process_ends_all(stores, tmp_path):
    """A video that is gone is in the part of one of them."""
    videos = tmp_path / "videos"
    for number in range(6):
        write_video(videos / f"{number}.mp4", 20)
    rows = [probed(f"{number}.mp4", str(number), 20, label_id=number % 2) for number in range(6)]
    encoding = FrameSettings(per_video=16, encoding="none")
    store = extract(tmp_path / "store", videos, rows, encoding)[1]
    (videos / "4.mp4").unlink()
    settings = SETTINGS.model_copy(update={"batch_size": 6})
    given = dataclasses.replace(stores, train=[store])
    started = time.monotonic()
    done = torchrun(2, SCRIPT, *arguments(given, tmp_path / "run", settings))
    assert done.returncode != 0
    assert done.stderr.count(f"Error: {videos}/4.mp4 could be read when") == 1
    assert "Traceback" not in done.stderr.partition("ChildFailedError")[0].partition("torch/distributed")[0]
    assert time.monotonic() - started < TIMEOUT_S / 2
    assert not (tmp_path / "run/model.safetensors").exists()


def test_the_main_process_holds_the_run(stores, tmp_path):
    with only_run(tmp_path / "run/.state"):
        done = torchrun(2, SCRIPT, *arguments(stores, tmp_path / "run"))
    assert done.returncode != 0
    assert "Error: another process is training into" in done.stderr


def test_more_processes_than_clips_of_a_batch(stores, tmp_path):
    settings = SETTINGS.model_copy(update={"batch_size": 1})
    done = torchrun(2, SCRIPT, *arguments(stores, tmp_path / "run", settings))
    assert done.returncode != 0
    assert "Error: batch_size 1 is of all processes together, and these are 2" in done.stderr
