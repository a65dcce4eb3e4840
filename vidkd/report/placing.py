"""Labels beside the points of a chart, so that none lies on another or on a point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DISTANCES, DIRECTIONS = (1.0, 1.5, 2.2, 3.0, 4.0), 16
"""Places that are tried, the nearest first: so many label heights from the point, in so many directions."""


def free_places(
    point_N2: NDArray[np.float64],
    size_L2: NDArray[np.float64],
    labelled: Sequence[int],
    bounds: tuple[float, float, float, float],
) -> NDArray[np.float64]:
    """The middle (L, 2) of each label; one that fits nowhere lies where the fewest others are.

    Args:
        point_N2: all points of the chart, x and y in any unit of length.
        size_L2: width and height of each label, in the same unit.
        labelled: number of the point of each label.
        bounds: left, bottom, right and top of what labels may cover.
    """
    height = size_L2[:, 1].max()
    angles = np.linspace(0, 2 * np.pi, DIRECTIONS, endpoint=False) + np.pi / 4
    circle_D2 = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    offset_P2 = height * np.concatenate([distance * circle_D2 for distance in DISTANCES])
    taken, taken_size = point_N2, np.full(point_N2.shape, 0.7 * height)
    found = np.empty((0, 2))
    for number, size_2 in zip(labelled, size_L2, strict=True):
        place_P2 = point_N2[number] + offset_P2
        covered_P = overlaps(place_P2, size_2, taken, taken_size) + 100 * outside(place_P2, size_2, bounds)
        best_2 = place_P2[np.argmin(covered_P)]
        taken, taken_size = np.vstack([taken, best_2]), np.vstack([taken_size, size_2])
        found = np.vstack([found, best_2])
    return found


def overlaps(
    place_P2: NDArray[np.float64],
    size_2: NDArray[np.float64],
    taken_N2: NDArray[np.float64],
    size_N2: NDArray[np.float64],
) -> NDArray[np.int64]:
    """How many of the boxes around `taken_N2` a box around each place lies on (P)."""
    apart_PN2 = np.abs(place_P2[:, None] - taken_N2[None])
    return (apart_PN2 < (size_2 + size_N2) / 2).all(axis=2).sum(axis=1)


def outside(
    place_P2: NDArray[np.float64], size_2: NDArray[np.float64], bounds: tuple[float, float, float, float]
) -> NDArray[np.bool_]:
    """Whether a box around each place is not within the bounds (P)."""
    low, high = np.array(bounds[:2]) + size_2 / 2, np.array(bounds[2:]) - size_2 / 2
    beyond_P2: NDArray[np.bool_] = (place_P2 < low) | (place_P2 > high)
    return np.asarray(beyond_P2.any(axis=1))
