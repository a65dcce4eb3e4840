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
from accelerate.utils import InitProcessGroupKwargs

from vidkd.config.training import TrainingSettings
from vidkd.engine.cpu import use_cpu
from vidkd.engine.processes import PATIENCE, highest
from vidkd.errors import UserError

log = logging.getLogger(__name__)

_OUT_OF_MEMORY = (
    "allocate memory",
    "shared memory",
    "killed by signal: Killed",
    "exited unexpectedly",
)
"""In messages of an allocator, of a worker without room in /dev/shm, and of one that the system killed."""


class Interrupted(SystemExit):
    """A signal asked the job to stop; its state is saved, and running the same command again resumes it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)


STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""What a scheduler sends at a time limit or before preemption."""


class StopSignal:
    """While entered, stop signals wait until the loop can save its state.

    Attributes:
        received: by this process.
        agreed: by any process of the training, when they last asked each other.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.agreed: int | None = None

    def __enter__(self) -> StopSignal:
        self._before = {n: signal.signal(n, self._remember) for n in STOP_SIGNALS}
        return self

    def __exit__(self, *_exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def agree(self) -> None:
        """Ask all processes of the training, which must all do so at the same step."""
        self.agreed = highest(self.received or 0) or None

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.received = number


def start(settings: TrainingSettings, seed: int) -> Accelerator:
    """Seed everything, make kernels deterministic and choose the device (CUDA > MPS > CPU) and precision.

    Raises:
        UserError: several processes were started.
    """
    if _several():
        raise UserError(
            "this training runs in one process, for it is short (heads and converters learn from cached "
            "features in seconds): start it without torchrun or accelerate launch"
        )
    return start_shared(settings, seed)


def start_shared(settings: TrainingSettings, seed: int) -> Accelerator:
    """`start` for a method that can be trained in several processes, see `engine.processes`.

    Raises:
        UserError: there are fewer GPUs than processes.
    """
    # cuBLAS is deterministic only with this set before its first call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    processes, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if processes > gpus > 0:
        raise UserError(
            f"{processes} processes were started where there are {gpus} GPUs: lower compute.gpus, or "
            "--nproc_per_node of torchrun"
        )
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries may draw from the global generator
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # A notebook trains more than once in a process, and the library keeps the first one's precision.
    AcceleratorState._reset_state()
    accelerator = Accelerator(
        # Of several processes without a GPU the library makes none a part unless it is told.
        cpu=_several() and not torch.cuda.is_available(),
        mixed_precision=settings.precision,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )
    # After it, for of several processes on a CPU it changes their number.
    use_cpu(settings.cpu_threads)
    log.info("device %s, precision %s, seed %d", accelerator.device, settings.precision, seed)
    return accelerator


def _several() -> bool:
    """By what torchrun and accelerate launch set, for before there is an accelerator."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def explain_oom(knob: str) -> Iterator[None]:
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
