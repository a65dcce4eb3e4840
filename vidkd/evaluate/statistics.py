"""Intervals of shares, and tests of differences between two classifiers on the same clips.

Everything here is about other clips of the same kind. What another seed would change it does not know: that
is what the standard deviation over seeds is for.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy  # whose parts are imported when they are used: figures and pages need ALPHA alone
from numpy.typing import NDArray

_Z_95 = 1.959963984540054
"""Two-sided 95% of the normal distribution."""

_RESAMPLES = 9999
"""Of the bootstrap and of the permutation test, whose smallest p is therefore 2 / 10,000."""

ALPHA = 0.05
"""A p below it is called a difference."""

SEED = 0

_AT_ONCE = 10**7
"""Resampled values that are held in memory."""


def wilson(share: float, count: float) -> tuple[float, float]:
    """Compute the 95% score interval of Wilson (1927) for a share of `count` independent cases, 0 to 1.

    Args:
        share: 0 to 1.
        count: of cases; a fraction where they are weighted.
    """
    spread = _Z_95**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def wilson_percent(percent: float, count: float) -> tuple[float, float]:
    """Compute the same for a share in percent."""
    low, high = wilson(percent / 100, count)
    return 100 * low, 100 * high


def sign_flip_p(difference_N: NDArray[np.int64]) -> float:
    """Compute the two-sided p that both classifiers are right equally often, by flipping signs.

    Under it each clip's difference is as likely to be negative. All 2^N flips are counted where they are
    fewer than _RESAMPLES, otherwise as many are drawn, always the same ones.

    Args:
        difference_N: for each clip, how many more seeds of the one than of the other are right: whole
            numbers, whose sums are exact.
    """
    moved = difference_N[difference_N != 0]  # flipping a zero changes nothing: fewer flips to count
    if len(moved) < 2:  # of one clip both flips are as far from zero
        return 1.0
    found = scipy.stats.permutation_test(
        (moved,), np.sum, permutation_type="samples", **_resampling(len(moved))
    )
    return float(found.pvalue)


def mcnemar_p(difference_N: NDArray[np.int64]) -> float:
    """Compute the two-sided p of McNemar's exact test (1947): clips that only one gets right are halved.

    With several seeds a clip counts once, for the one of which more seeds are right.

    Args:
        difference_N: as for `sign_flip_p`.
    """
    moved = difference_N[difference_N != 0]
    return float(scipy.stats.binomtest(int((moved > 0).sum()), len(moved)).pvalue) if len(moved) else 1.0


def bootstrap_p(difference_N: NDArray[np.int64]) -> float:
    """Compute the two-sided p that the mean over clips is 0, by the bootstrap of `mean_interval`.

    Twice the share of resamples whose mean is not on the side of the observed one; at least 2 / 10,000.
    """
    if len(difference_N) < 2 or not difference_N.any():
        return 1.0
    means = _bootstrap(np.mean, difference_N).bootstrap_distribution
    beyond = min((means <= 0).sum(), (means >= 0).sum())
    return float(min(1.0, 2 * (beyond + 1) / (_RESAMPLES + 1)))


def mean_interval(difference_N: NDArray[np.int64]) -> tuple[float, float]:
    """Compute the 95% interval of the mean over clips, by the percentile bootstrap."""
    if len(difference_N) < 2:
        return math.nan, math.nan
    found = _bootstrap(np.mean, difference_N).confidence_interval
    return float(found.low), float(found.high)


def ratio_interval(above_N: NDArray[np.int64], below_N: NDArray[np.int64]) -> tuple[float, float]:
    """Compute the 95% interval of the ratio of two means over the same clips, by the percentile bootstrap.

    Only for a `below_N` whose mean is above zero with its whole interval: the ratio has no meaning near it.
    Resamples in which it is not above zero, fewer than 2.5% then, count as beyond both ends.
    """
    with warnings.catch_warnings():
        # It is about the interval, which is not taken.
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        found = _bootstrap(_ratio, above_N, below_N, paired=True).bootstrap_distribution
    low = np.percentile(np.nan_to_num(found, nan=-math.inf), 2.5)
    high = np.percentile(np.nan_to_num(found, nan=math.inf), 97.5)
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust each p for as many comparisons as there are (Holm 1979).

    Where nothing differs, a table has one below 0.05 or several in 5% of cases, not each of its rows.
    """
    order, adjusted, least = np.argsort(p_values, kind="stable"), [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order.tolist()):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = least
    return adjusted


def _ratio(above: NDArray[Any], below: NDArray[Any], axis: int = -1) -> NDArray[Any]:
    """NaN where the lower mean is not above zero: the sign of a ratio would say the contrary there."""
    above, below = above.mean(axis), below.mean(axis)
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def _bootstrap(statistic: Any, *samples: NDArray[np.int64], paired: bool = False) -> Any:
    """What scipy's percentile bootstrap over clips gives."""
    options = _resampling(len(samples[0]))
    return scipy.stats.bootstrap(samples, statistic, method="percentile", paired=paired, **options)


def _resampling(count: int) -> dict[str, Any]:
    return {
        "n_resamples": _RESAMPLES,
        "vectorized": True,
        "batch": max(1, _AT_ONCE // count),
        "rng": np.random.default_rng(SEED),
    }
