"""Which trained frame count serves a clip. Without torch, so that tables can use the same rule."""

from __future__ import annotations

from collections.abc import Iterable


def nearest_count(counts: Iterable[int], frames: int) -> int:
    """The trained frame count that serves clips of `frames` frames: the nearest, ties to the higher."""
    return min(counts, key=lambda count: (abs(count - frames), -count))
