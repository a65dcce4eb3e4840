from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import binom, binomtest, norm

from vidkd.evaluate.statistics import (
    bootstrap_p,
    holm,
    mcnemar_p,
    mean_interval,
    ratio_interval,
    sign_flip_p,
    wilson,
    wilson_percent,
)


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


def test_in_percent_it_is_the_same():
    assert wilson_percent(25, 40) == pytest.approx([100 * end for end in wilson(0.25, 40)])


@pytest.mark.parametrize("moved", [[3, -1, 2, 2, -2, 1, 3], [1, 1], [1, -1], [2, 2, 2, 2, 2, 2, -1]])
def test_few_clips_are_flipped_in_every_way(moved):
    difference = np.array([*moved, 0, 0, 0])
    sums = [np.dot(signs, moved) for signs in product((-1, 1), repeat=len(moved))]
    expected = np.mean(np.abs(sums) >= abs(sum(moved)))
    assert sign_flip_p(difference) == pytest.approx(expected)
    assert sign_flip_p(-difference) == pytest.approx(expected)


@pytest.mark.parametrize(("better", "worse"), [(30, 30), (40, 20), (60, 40), (70, 20)])
def test_of_one_seed_it_is_the_sign_test(better, worse):
    difference = np.repeat([1, -1, 0], [better, worse, 400])
    expected = binomtest(better, better + worse).pvalue
    assert sign_flip_p(difference) == pytest.approx(expected, abs=4 * math.sqrt(expected / 9999) + 2e-4)
    assert sign_flip_p(difference) == sign_flip_p(difference)


def test_classifiers_that_are_right_on_the_same_clips_do_not_differ():
    assert sign_flip_p(np.zeros(20, np.int64)) == 1
    assert sign_flip_p(np.array([0, 3, 0])) == 1
    assert mean_interval(np.zeros(20, np.int64)) == (0, 0)
    assert np.isnan(mean_interval(np.array([1]))).all()


def test_where_nothing_differs_one_in_twenty_is_below_5_percent():
    random = np.random.default_rng(0)
    p_values = [sign_flip_p(random.integers(-3, 4, 11)) for _ in range(400)]
    assert np.mean(np.array(p_values) < 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_the_interval_of_a_mean_is_the_normal_one_for_many_clips():
    difference = np.random.default_rng(1).integers(-2, 4, 2000)
    half = norm.ppf(0.975) * difference.std() / math.sqrt(len(difference))
    expected = difference.mean() - half, difference.mean() + half
    assert mean_interval(difference) == pytest.approx(expected, abs=0.05 * half)
    assert mean_interval(difference) == mean_interval(difference)


def test_the_interval_of_a_ratio_takes_clips_together():
    below = np.random.default_rng(2).integers(0, 4, 300)
    # Half of it on every clip: the ratio does not vary, though both means do.
    assert ratio_interval(below, 2 * below) == pytest.approx((0.5, 0.5))
    low, high = ratio_interval(np.random.default_rng(3).permutation(below), 2 * below)
    assert low < 0.45 < 0.5 < 0.55 < high < 0.7


def closed(p_values):
    """Holm's adjustment by its reason: the largest Bonferroni p of all sets of hypotheses that have one."""
    numbers = range(len(p_values))
    sets = [chosen for size in numbers for chosen in combinations(numbers, size + 1)]
    return [
        max(min(1, len(s) * min(p_values[k] for k in s)) for s in sets if number in s) for number in numbers
    ]


def test_the_interval_of_a_ratio_whose_gap_is_small_is_none_of_chance(recwarn):
    """In a few resamples the lower mean is zero, where the ratio is none, or below, where its sign turns."""
    random = np.random.default_rng(23)
    below = random.choice([-1, 0, 1], p=[0.02, 0.9, 0.08], size=100)
    above = random.choice([-1, 0, 1], p=[0.05, 0.9, 0.05], size=100)
    assert mean_interval(below)[0] > 0
    draws = np.random.default_rng(5).integers(100, size=(20_000, 100))
    ratios = above[draws].mean(1) / np.where(below[draws].mean(1) > 0, below[draws].mean(1), np.nan)
    undefined = np.isnan(ratios)
    assert 0 < undefined.mean() < 0.025
    low, high = ratio_interval(above, below)
    # As if each of these were beyond the end that is asked for.
    assert low == pytest.approx(np.percentile(np.where(undefined, -99, ratios), 2.5), abs=0.3)
    assert high == pytest.approx(np.percentile(np.where(undefined, 99, ratios), 97.5), abs=0.3)
    assert not recwarn.list


@pytest.mark.parametrize("p_values", [[0.01, 0.04, 0.03], [0.5, 0.001, 0.02, 0.02, 1.0], [0.2], []])
def test_holm_is_the_closed_test_of_bonferroni(p_values):
    assert holm(p_values) == pytest.approx(closed(p_values))


@given(st.lists(st.integers(-3, 3), max_size=60))
def test_mcnemar_is_the_binomial_of_clips_that_only_one_gets_right(values):
    more, fewer = sum(v > 0 for v in values), sum(v < 0 for v in values)
    n = more + fewer
    tail = sum(math.comb(n, k) for k in range(min(more, fewer) + 1)) / 2**n
    assert mcnemar_p(np.array(values, dtype=np.int64)) == pytest.approx(min(1.0, 2 * tail))


def test_the_bootstrap_p_is_that_of_another_bootstrap():
    rng = np.random.default_rng(5)
    for shift in (0.0, 0.1, 0.25):
        values = rng.choice([-1, 0, 1], size=120, p=[0.25 - shift / 2, 0.5, 0.25 + shift / 2])
        means = rng.choice(values, size=(20_000, 120)).mean(axis=1)
        expected = min(1.0, 2 * min((means <= 0).mean(), (means >= 0).mean()))
        assert bootstrap_p(values) == pytest.approx(expected, abs=0.04)  # of 10,000 resamples
    assert bootstrap_p(np.zeros(9, dtype=np.int64)) == 1
    assert bootstrap_p(np.ones(50, dtype=np.int64)) == pytest.approx(2e-4)
