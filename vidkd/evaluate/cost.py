"""What a clip costs the networks of a method: a row for each, with the same columns whatever the method.

| column | meaning |
| --- | --- |
| variant | name |
| frames | of the clip; empty: it sees features |
| params | number of parameters |
| gflops | operations, one multiply-add is one |
| size_mb | its files of weights on disk, in 10^6 bytes; empty: it has none of its own |
| peak_mb | memory beyond weights and clip, in 10^6 bytes: see `peak_mb` |
| ms_1, ms_1_low, ms_1_high | milliseconds of a decoded clip on one thread of a CPU: median, quartiles |
| ms_2, ms_2_low, ms_2_high | the same on two |
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.autograd.profiler import profile
from torch.autograd.profiler_util import MEMORY_EVENT_NAME

from vidkd.engine.efficiency import count_parameters, gflops_of
from vidkd.engine.logging import progress
from vidkd.files import atomic

_THREADS = (1, 2)
_WARM_UP = 3
"""Rounds that are not counted."""

CPU = torch.device("cpu")

Row = dict[str, object]


@dataclass(frozen=True)
class Part:
    """Something that is measured.

    Attributes:
        name: in the table.
        run: what it does with one clip that has been decoded.
        params: how many values it has.
        frames: of the clip; None: it sees no frames.
        files: that it is read from; none: it has no file of its own.
        device: where it runs.
    """

    name: str
    run: Callable[[], object]
    params: int
    frames: int | None = None
    files: tuple[Path, ...] = ()
    device: torch.device = CPU


def clip_part(
    name: str, networks: Sequence[nn.Module], frames: int, size: int, files: Iterable[Path]
) -> Part:
    """Put together networks on the CPU that see a random clip one after the other.

    Args:
        name: in the table.
        networks: one, or the members of an ensemble.
        frames: T of the clip.
        size: height and width of its frames.
        files: that they are read from.
    """
    clip_1TCHW = random_clips(1, frames, size)
    params = sum(count_parameters(network) for network in networks)
    return Part(name, lambda: [network(clip_1TCHW) for network in networks], params, frames, tuple(files))


def random_clips(number: int, frames: int, size: int) -> Tensor:
    """Make random pixels: uint8 (number, T, 3, size, size), always the same."""
    generator = torch.Generator().manual_seed(0)
    shape = (number, frames, 3, size, size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def measure(parts: Sequence[Part], rounds: int) -> list[Row]:
    """Measure the row of each part; see above.

    Args:
        parts: in the order of the rows; every round times each of them once.
        rounds: how often each is timed with each number of threads.
    """
    torch.set_num_threads(1)
    rows = {part.name: _fixed(part) for part in parts}
    runs = {part.name: part.run for part in parts}
    for threads in _THREADS:
        torch.set_num_threads(threads)
        for name, taken in _time_rounds(runs, rounds, f"rounds with {threads} threads").items():
            columns = (f"ms_{threads}", f"ms_{threads}_low", f"ms_{threads}_high")
            times = zip(columns, quartiles(taken), strict=True)
            rows[name] |= {column: f"{value:.3f}" for column, value in times}
    return list(rows.values())


def write_rows(rows: Sequence[Row], output: Path) -> None:
    """Write the table as csv; what is None is an empty cell."""
    with atomic(output) as temporary:
        # As objects: pandas makes 4.0 of a 4 that has an empty cell in its column.
        pd.DataFrame(rows, dtype=object).to_csv(temporary, index=False)


def _fixed(part: Part) -> Row:
    """What does not depend on the machine's speed."""
    return {
        "variant": part.name,
        "frames": part.frames,
        "params": part.params,
        "gflops": gflops_of(part.run),
        "size_mb": _size_mb(part.files),
        "peak_mb": peak_mb(part.run, part.device),
    }


def _size_mb(files: Iterable[Path]) -> float | None:
    """Megabytes (10^6 bytes) of the weights among `files`, which is all but JSON."""
    sizes = [file.stat().st_size for file in files if file.suffix != ".json"]
    return sum(sizes) / 1e6 if sizes else None


# ---- time


def _time_rounds(
    parts: Mapping[str, Callable[[], object]], rounds: int, label: str = "rounds"
) -> dict[str, list[float]]:
    """Milliseconds of each part in each round.

    Every round runs every part once, so that what else the machine does falls on all of them.
    """
    taken: dict[str, list[float]] = {name: [] for name in parts}
    for number in progress(range(_WARM_UP + rounds), label):
        for name, run in parts.items():
            seconds = _timed(run)
            if number >= _WARM_UP:
                taken[name].append(1e3 * seconds)
    return taken


def quartiles(milliseconds: list[float]) -> tuple[float, float, float]:
    """Return the median, the lower and the upper quartile."""
    low, middle, high = statistics.quantiles(milliseconds, n=4)
    return middle, low, high


@torch.inference_mode()
def _timed(run: Callable[[], object]) -> float:
    _wait()
    start = time.perf_counter()
    run()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    """Until a GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


# ---- memory


@torch.inference_mode()
def peak_mb(run: Callable[[], object], device: torch.device) -> float | None:
    """Measure the megabytes (10^6 bytes) that a run takes at most; None: this device or build cannot tell.

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
