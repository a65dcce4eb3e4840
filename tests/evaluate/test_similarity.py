"""CKA against its definition with matrices of clips by clips, retrieval against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from vidkd.evaluate import similarity
from vidkd.evaluate.similarity import retrieval_top1, unbiased_cka

CLIPS, TOKENS, WIDTH = 50, 3, 7
RANDOM = np.random.default_rng(0)
PLACE = RANDOM.normal(20, 5, (TOKENS, WIDTH))
TARGET = PLACE + RANDOM.normal(0, 2, (CLIPS, TOKENS, WIDTH)) * np.arange(1, WIDTH + 1)
PREDICTED = TARGET + RANDOM.normal(0, 3, TARGET.shape)
MEAN = TARGET[:30].mean(0)


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
