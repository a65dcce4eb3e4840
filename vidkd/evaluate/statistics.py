"""Intervals of shares."""

from __future__ import annotations

import math

Z_95 = 1.959963984540054
"""Two-sided 95% of the normal distribution."""


def wilson(share: float, count: float) -> tuple[float, float]:
    """The 95% score interval of Wilson (1927) for a share of `count` independent cases, 0 to 1.

    Args:
        share: 0 to 1.
        count: of cases; a fraction where they are weighted.
    """
    spread = Z_95**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)
