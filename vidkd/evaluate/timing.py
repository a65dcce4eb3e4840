"""What something takes, in milliseconds, beside other things that are timed in the same rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch

from vidkd.engine.logging import progress

WARM_UP = 3
"""Rounds that are not counted."""


def time_rounds(
    parts: Mapping[str, Callable[[], object]], rounds: int, label: str = "rounds"
) -> dict[str, list[float]]:
    """Milliseconds of each part in each round.

    Every round runs every part once, so that what else the machine does falls on all of them.
    """
    taken: dict[str, list[float]] = {name: [] for name in parts}
    for number in progress(range(WARM_UP + rounds), label):
        for name, run in parts.items():
            seconds = _timed(run)
            if number >= WARM_UP:
                taken[name].append(1e3 * seconds)
    return taken


def quartiles(milliseconds: list[float]) -> tuple[float, float, float]:
    """Median, lower and upper quartile."""
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
