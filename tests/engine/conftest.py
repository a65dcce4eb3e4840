"""Each test starts its accelerator anew, and leaves the signals of the test process as they were."""

from __future__ import annotations

import signal

import pytest
from accelerate.state import AcceleratorState

import vidkd.torchvision_ops  # noqa: F401 - before torchvision


@pytest.fixture(autouse=True)
def _own_process_state():
    numbers = (signal.SIGTERM, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
