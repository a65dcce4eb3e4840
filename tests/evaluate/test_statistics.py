from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom, norm

from vidkd.evaluate.statistics import wilson


@pytest.mark.parametrize(("right", "count"), [(3, 40), (20, 40), (39, 40), (451, 600)])
def test_the_ends_are_where_the_score_test_just_refuses(right, count):
    share, z = right / count, norm.ppf(0.975)

    def score(p):
        return abs(share - p) - z * math.sqrt(p * (1 - p) / count)

    expected = brentq(score, 1e-9, share), brentq(score, share, 1 - 1e-9)
    assert wilson(share, count) == pytest.approx(expected)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_it_stays_between_0_and_1_and_has_a_width(share):
    low, high = wilson(share, 30)
    assert 0 <= low < high <= 1
    assert high - low > 0.05


@pytest.mark.parametrize("truth", [1 / 12, 0.3, 0.5])
def test_it_covers_the_truth_in_95_of_100_samples(truth):
    count = 240
    rights = np.arange(count + 1)
    covers = [low <= truth <= high for low, high in (wilson(right / count, count) for right in rights)]
    assert binom.pmf(rights, count, truth)[covers].sum() == pytest.approx(0.95, abs=0.015)
