"""Which frames make a clip."""

from __future__ import annotations

import numpy as np


def segment_centres(total: int, count: int) -> np.ndarray:
    """The middle frame of each of `count` equal segments of `total` frames: int64 (count,), ascending.

    Frames repeat when there are fewer than `count`.
    """
    return (2 * np.arange(count) + 1) * total // (2 * count)


def random_in_segments(total: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """One random frame of each of `count` equal segments of `total` frames: int64 (count,), ascending."""
    edges = np.arange(count + 1) * total // count
    return rng.integers(edges[:-1], np.maximum(edges[1:], edges[:-1] + 1))
