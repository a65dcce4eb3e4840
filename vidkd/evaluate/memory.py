"""The memory that one run of something takes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

import torch
from torch.autograd import DeviceType
from torch.autograd.profiler import profile
from torch.autograd.profiler_util import MEMORY_EVENT_NAME


@torch.inference_mode()
def peak_mb(run: Callable[[], object], device: torch.device) -> float | None:
    """Megabytes (10^6 bytes) that a run takes at most; None: this device or build of PyTorch cannot tell.

    Counted is what PyTorch allocates for it: activations, results, and the scratch memory of operators.
    Weights and inputs are there before and are not counted, nor is what MKL or cuBLAS reserve for themselves.
    On a CPU with one thread it is the same number every time.

    Args:
        run: what is measured; its weights and inputs exist.
        device: where it runs.
    """
    run()  # What is made once and kept, such as a table of positions, is no part of a run.
    peak = _PEAKS.get(device.type, lambda run: None)(run)
    return None if peak is None else peak / 1e6


def _on_cpu(run: Callable[[], object]) -> int | None:
    with profile(profile_memory=True) as profiler:
        run()
    assert profiler.kineto_results is not None
    # Not the public events(), which sum up what an operator took and gave back.
    found = [event for event in profiler.kineto_results.events() if event.name() == MEMORY_EVENT_NAME]
    ours = [event for event in found if event.device_type() == DeviceType.CPU]
    changes = [event.nbytes() for event in sorted(ours, key=lambda event: event.start_ns())]
    return max(accumulate(changes), default=None)


def _on_cuda(run: Callable[[], object]) -> int:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


_PEAKS: dict[str, Callable[[Callable[[], object]], int | None]] = {"cpu": _on_cpu, "cuda": _on_cuda}
