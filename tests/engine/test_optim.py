from __future__ import annotations

import math

import pytest

from vidkd.config.training import TrainingSettings
from vidkd.engine.optim import rate_factor


def test_cosine_with_warm_up():
    settings = TrainingSettings(epochs=11, warmup_epochs=1)
    assert rate_factor(0.25, settings) == 0.25
    assert rate_factor(1, settings) == 1
    assert rate_factor(6, settings) == pytest.approx(0.5)
    assert rate_factor(3.5, settings) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert rate_factor(11, settings) == pytest.approx(0)


def test_the_official_steps():
    settings = TrainingSettings(epochs=50, schedule="step")
    factors = [rate_factor(epoch, settings) for epoch in (0, 19.99, 20, 39.9, 40, 49)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_constant():
    assert rate_factor(30, TrainingSettings(schedule="constant")) == 1
