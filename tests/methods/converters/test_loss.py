"""The terms of the objective against plain ones, and that each moves the converter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from vidkd.errors import UserError
from vidkd.methods.converters.loss import BETWEEN_CLIPS, terms
from vidkd.methods.converters.model import KINDS, build_converter
from vidkd.methods.converters.settings import LOSSES, ConverterSettings

B, N, D = 7, 3, 5


def pair(clips: int = B) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    predicted = torch.randn(clips, N, D, generator=generator)
    return predicted, 0.5 * predicted + torch.randn(clips, N, D, generator=generator)


def of(name: str, **settings) -> float:
    own = ConverterSettings(loss={name: 1.0}, **settings)
    (value,) = terms(*pair(), own).values()
    return value.item()


def plain() -> tuple[np.ndarray, np.ndarray]:
    predicted, target = pair()
    return predicted.double().numpy(), target.double().numpy()


def test_l1_and_l2_are_means():
    predicted, target = plain()
    assert of("l1") == pytest.approx(np.abs(predicted - target).mean(), rel=1e-5)
    assert of("l2") == pytest.approx(((predicted - target) ** 2).mean(), rel=1e-5)


def test_cosine_is_that_of_each_token():
    predicted, target = (value.reshape(-1, D) for value in plain())
    expected = 1 - np.diag(cosine_similarity(predicted, target)).mean()
    assert of("cosine") == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_infonce_finds_the_own_clip_both_ways(temperature):
    predicted, target = (value.mean(1) for value in plain())
    score = np.exp(cosine_similarity(predicted, target) / temperature)
    there = [-np.log(score[k, k] / score[k].sum()) for k in range(B)]
    back = [-np.log(score[k, k] / score[:, k].sum()) for k in range(B)]
    expected = (np.mean(there) + np.mean(back)) / 2
    assert of("infonce", temperature=temperature) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
def test_vicreg_has_three_parts(weights):
    predicted, target = (value.mean(1) for value in plain())
    covariance = np.cov(predicted.T)
    apart = covariance[~np.eye(D, dtype=bool)]
    deviation = np.sqrt(np.diag(covariance) + 1e-4)
    parts = (
        ((predicted - target) ** 2).mean(), np.maximum(0, 1 - deviation).mean(), (apart**2).sum() / D,
    )  # fmt: skip
    assert of("vicreg", vicreg=weights) == pytest.approx(np.dot(weights, parts), rel=1e-4)


def test_barlow_is_the_cross_correlation():
    predicted, target = (value.mean(1) for value in plain())
    correlation = np.corrcoef(predicted.T, target.T)[:D, D:]
    own = ((np.diag(correlation) - 1) ** 2).sum()
    apart = (correlation[~np.eye(D, dtype=bool)] ** 2).sum()
    assert of("barlow") == pytest.approx(own + 5e-3 * apart, rel=1e-3)
    assert of("barlow", barlow_off_diagonal=2) == pytest.approx(own + 2 * apart, rel=1e-3)


def test_terms_are_weighted_and_named_in_one_order():
    backwards = dict(zip(reversed(LOSSES), range(1, 7), strict=True))
    found = terms(*pair(), ConverterSettings(loss=backwards))
    assert list(found) == [f"{name}_loss" for name in LOSSES]
    for name, weight in backwards.items():
        assert found[f"{name}_loss"].item() == pytest.approx(weight * of(name), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LOSSES)
def test_every_term_has_a_gradient_at_the_converter(name, kind):
    settings = ConverterSettings(kind=kind, width=8, heads=2, loss={name: 1.0})
    torch.manual_seed(0)
    model = build_converter(settings, (4, 6), (N, D))
    (loss,) = terms(model.standardised(torch.randn(B, 4, 6)), pair()[1], settings).values()
    loss.backward()
    for part, parameter in model.named_parameters():
        assert parameter.grad is not None, part
        assert parameter.grad.abs().sum() > 0, part


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_of_one_is_a_number_or_refused(name):
    predicted, target = pair(1)
    settings = ConverterSettings(loss={name: 1.0})
    if name not in BETWEEN_CLIPS:
        assert all(value.isfinite() for value in terms(predicted, target, settings).values())
        return
    with pytest.raises(
        UserError, match=f"^{name} compares the videos of a batch .* raise batch_size above 1"
    ):
        terms(predicted, target, settings)


@pytest.mark.parametrize("name", LOSSES)
def test_features_that_are_all_the_same_are_a_finite_loss(name):
    """As a converter that has collapsed gives them."""
    same = torch.ones(B, N, D, requires_grad=True)
    (loss,) = terms(same, pair()[1], ConverterSettings(loss={name: 1.0})).values()
    loss.backward()
    assert loss.isfinite()
    assert same.grad is not None
    assert same.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_the_teachers_own_features_are_the_best(name):
    _, target = pair()
    settings = ConverterSettings(loss={name: 1.0}, vicreg=(25, 0, 0))
    (best,) = terms(target, target, settings).values()
    (worse,) = terms(*pair(), settings).values()
    assert best < worse
