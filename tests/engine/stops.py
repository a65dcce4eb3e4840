"""A training that is told to stop after a number of steps."""

from __future__ import annotations

import os
import signal

import pytest

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
