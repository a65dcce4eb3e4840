"""A training that is told to stop after a number of steps."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.road import files
from vidkd.engine import loop


def signal_after(monkeypatch: pytest.MonkeyPatch, count: int) -> list[int]:
    """Have step `count` of trainings in this process send SIGUSR1; the list grows with each step."""
    steps: list[int] = []
    step = loop.Trainer._step

    def step_and_signal(trainer: loop.Trainer) -> None:
        step(trainer)
        steps.append(1)
        if len(steps) == count:
            os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr(loop.Trainer, "_step", step_and_signal)
    return steps


def check_goes_on(
    monkeypatch: pytest.MonkeyPatch, train: Callable[[Path], Path], folder: Path, stop_at: int, count: int
) -> None:
    """A training that step `stop_at` of `count` stops goes on to the bytes of one that nothing stopped."""
    straight = files(train(folder / "straight"))
    steps = signal_after(monkeypatch, stop_at)
    with pytest.raises(SystemExit) as stopped:
        train(folder / "stopped")
    assert stopped.value.code == 128 + signal.SIGUSR1
    assert [path.name for path in (folder / "stopped").iterdir()] == [".state"]
    assert list((folder / "stopped").rglob("state.pt"))
    assert files(train(folder / "stopped")) == straight
    assert len(steps) == count  # none was done twice


def check_goes_on_after(
    number: signal.Signals,
    command: Callable[[Path], list[str]],
    folder: Path,
    state: str = ".state/state.pt",
    words: str = "going on from epoch",
) -> dict[str, bytes]:
    """A real process that a signal ends, and the same command again: the bytes of one that nothing stopped.

    Args:
        number: SIGTERM, after which the state is saved, or SIGKILL.
        command: the command line of a training into a folder.
        folder: where it may be.
        state: file whose appearance means that the training is in the middle.
        words: what the second process says.

    Returns:
        The files of the run.
    """
    subprocess.run(command(folder / "straight"), check=True, capture_output=True)
    process = subprocess.Popen(command(folder / "killed"), stderr=subprocess.PIPE, text=True)
    while not (folder / "killed" / state).exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    saves = number == signal.SIGTERM
    assert process.returncode == (128 + number if saves else -number)
    assert ("state saved" in said) == saves
    assert not (folder / "killed/model.safetensors").exists()
    again = subprocess.run(
        command(folder / "killed"), stderr=subprocess.PIPE, text=True, timeout=120, check=True
    )
    assert words in again.stderr
    found = files(folder / "killed")
    assert found == files(folder / "straight")
    assert set(found) == {"model.safetensors", "config.json", "history.csv"}
    return found
