"""R² and cosine of tokens against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from sklearn.metrics.pairwise import cosine_similarity

from tests.evaluate.test_similarity import CLIPS, MEAN, PREDICTED, TARGET, TOKENS, WIDTH
from vidkd.evaluate.token_errors import TokenErrors


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
