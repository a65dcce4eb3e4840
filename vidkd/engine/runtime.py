"""Seeds, device and signals of a training process."""

from __future__ import annotations

import logging
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from vidkd.config.training import TrainingSettings
from vidkd.errors import UserError

log = logging.getLogger(__name__)

_OUT_OF_MEMORY = ("allocate memory", "shared memory", "killed by signal: Killed")
"""In messages of an allocator, of a worker without room in /dev/shm, and of one that the system killed."""


class Interrupted(SystemExit):
    """A signal asked the job to stop; its state is saved, and running the same command again resumes it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)


STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""What a scheduler sends at a time limit or before preemption."""


class StopSignal:
    """While entered, stop signals wait until the loop can save its state."""

    def __init__(self) -> None:
        self.received: int | None = None

    def __enter__(self) -> StopSignal:
        self._before = {n: signal.signal(n, self._remember) for n in STOP_SIGNALS}
        return self

    def __exit__(self, *_exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.received = number


def start(settings: TrainingSettings, seed: int) -> Accelerator:
    """Seed everything, make kernels deterministic and choose the device (CUDA > MPS > CPU) and precision."""
    # cuBLAS is deterministic only with this set before its first call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries may draw from the global generator
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_num_threads(settings.cpu_threads)
    # A notebook trains more than once in a process, and the library keeps the first one's precision.
    AcceleratorState._reset_state()
    accelerator = Accelerator(mixed_precision=settings.precision)
    log.info("device %s, precision %s, seed %d", accelerator.device, settings.precision, seed)
    return accelerator


@contextmanager
def naming_knob(knob: str) -> Iterator[None]:
    """Have memory that runs out end the job with the setting that made it so.

    Args:
        knob: the setting, its value and what to do: `batch_size 64: lower it`.

    Raises:
        UserError: memory ran out, of this process, of its workers or of the GPU.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not any(text in str(error) for text in _OUT_OF_MEMORY):
            raise
        raise UserError(f"out of memory with {knob}") from error
