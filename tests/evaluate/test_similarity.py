"""Measures of likeness against scikit-learn, and against the definitions with matrices of clips by clips."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from sklearn.metrics.pairwise import cosine_similarity

from vidkd.evaluate import similarity
from vidkd.evaluate.similarity import TokenErrors, retrieval_top1, unbiased_cka

CLIPS, TOKENS, WIDTH = 50, 3, 7
RANDOM = np.random.default_rng(0)
PLACE = RANDOM.normal(20, 5, (TOKENS, WIDTH))
TARGET = PLACE + RANDOM.normal(0, 2, (CLIPS, TOKENS, WIDTH)) * np.arange(1, WIDTH + 1)
PREDICTED = TARGET + RANDOM.normal(0, 3, TARGET.shape)
MEAN = TARGET[:30].mean(0)


def errors(predicted, target, mean=MEAN, size=8):
    found = TokenErrors(torch.from_numpy(mean))
    for part in zip(*(torch.tensor(x).split(size) for x in (predicted, target)), strict=True):
        found.add(*part)
    return found


def flat(features):
    return features.reshape(len(features), -1)


@pytest.mark.parametrize("size", [1, 8, CLIPS])
def test_r2_is_scikit_learns(size):
    found = errors(PREDICTED, TARGET, size=size)
    constant = np.broadcast_to(MEAN, TARGET.shape)
    for value, of in ((found.r2(), PREDICTED), (found.r2_of_mean(), constant)):
        expected = r2_score(flat(TARGET), flat(of), multioutput="variance_weighted")
        assert value == pytest.approx(expected, abs=1e-12)
    assert found.r2() > 0.5 > 0 > found.r2_of_mean()


def test_to_know_the_place_of_a_token_gives_no_r2():
    known = np.broadcast_to(TARGET.mean(0), TARGET.shape)
    assert errors(known, TARGET).r2() == pytest.approx(0, abs=1e-12)


def test_cosine_is_scikit_learns():
    found = errors(PREDICTED, TARGET)
    tokens, predicted = (x.reshape(-1, WIDTH) for x in (TARGET, PREDICTED))
    assert found.cosine() == pytest.approx(np.diag(cosine_similarity(predicted, tokens)).mean())
    constant = np.broadcast_to(MEAN, TARGET.shape).reshape(-1, WIDTH)
    assert found.cosine_of_mean() == pytest.approx(np.diag(cosine_similarity(constant, tokens)).mean())


def test_the_very_mean_has_an_r2_of_zero_and_the_truth_one_of_one():
    found = errors(TARGET, TARGET, TARGET.mean(0))
    assert (found.r2_of_mean(), found.r2(), found.cosine()) == pytest.approx((0, 1, 1), abs=1e-12)


def test_half_precision_far_from_zero_loses_nothing():
    target, predicted = (1000 + x.astype(np.float16) for x in (TARGET, PREDICTED))
    expected = r2_score(flat(target).astype(float), flat(predicted), multioutput="variance_weighted")
    assert errors(predicted, target, MEAN + 1000).r2() == pytest.approx(expected, abs=1e-9)


def test_clips_that_are_all_the_same_have_no_r2():
    assert math.isnan(errors(PREDICTED, np.zeros_like(TARGET), np.zeros((TOKENS, WIDTH))).r2())


def naive_cka(one, other):
    """Song et al. 2012, equation 5, as it is written."""

    def hsic(x, y):
        n, ones = len(x), np.ones(len(x))
        k, l = x @ x.T, y @ y.T  # noqa: E741
        np.fill_diagonal(k, 0)
        np.fill_diagonal(l, 0)
        middle = (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2))
        return (np.trace(k @ l) + middle - 2 / (n - 2) * ones @ k @ l @ ones) / (n * (n - 3))

    return hsic(one, other) / math.sqrt(hsic(one, one) * hsic(other, other))


@pytest.mark.parametrize("clips", [4, 5, CLIPS])
def test_cka_is_that_of_the_kernels(clips):
    one, other = TARGET.mean(1)[:clips], PREDICTED[:, :2].mean(1)[:clips, :4]
    found = unbiased_cka(torch.from_numpy(one), torch.from_numpy(other))
    assert found == pytest.approx(naive_cka(one - one.mean(0), other - other.mean(0)), rel=1e-9)
    # The estimator does not know the mean: not even where it is large.
    assert found == pytest.approx(naive_cka(one, other), rel=1e-6)


def test_cka_of_a_rotated_and_scaled_copy_is_one():
    one = torch.from_numpy(TARGET.mean(1))
    turn = torch.from_numpy(np.linalg.qr(RANDOM.normal(size=(WIDTH, WIDTH)))[0])
    assert unbiased_cka(one, 3 * one @ turn + 5) == pytest.approx(1)


def test_cka_of_independent_features_is_zero_on_average_however_wide():
    draws = [RANDOM.normal(size=(2, 20, 200)) for _ in range(100)]
    values = [unbiased_cka(*(torch.from_numpy(part) for part in draw)) for draw in draws]
    plain = [np.linalg.norm(one.T @ other) ** 2 for one, other in draws]
    own = [math.prod(np.linalg.norm(part @ part.T) for part in draw) for draw in draws]
    assert np.min(np.divide(plain, own)) > 0.8
    assert np.mean(values) == pytest.approx(0, abs=3 * np.std(values) / 10)


def test_cka_of_few_or_constant_features_is_not_defined():
    one = torch.from_numpy(TARGET.mean(1))
    assert math.isnan(unbiased_cka(one[:3], one[:3]))
    assert math.isnan(unbiased_cka(torch.ones_like(one), one))


def test_retrieval_is_that_of_all_similarities(monkeypatch):
    monkeypatch.setattr(similarity, "_BLOCK", 7)
    query, gallery = (x.mean(1) - MEAN.mean(0) for x in (PREDICTED, TARGET))
    nearest = cosine_similarity(query, gallery).argmax(1)
    expected = 100 * np.mean(nearest == np.arange(CLIPS))
    assert 0 < expected < 100
    assert retrieval_top1(torch.from_numpy(query), torch.from_numpy(gallery)) == pytest.approx(expected)


@pytest.mark.parametrize("constant", [0.0, 2.5])
def test_a_constant_retrieves_by_chance(constant):
    gallery = torch.from_numpy(TARGET.mean(1) - MEAN.mean(0))
    assert retrieval_top1(torch.full_like(gallery, constant), gallery) == pytest.approx(100 / CLIPS)
