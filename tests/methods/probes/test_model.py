"""The heads against plain re-implementations, and what they cannot see."""

from __future__ import annotations

import inspect
import math
from typing import get_args

import numpy as np
import pytest
import torch

from vidkd import lazy
from vidkd.methods.probes.linear import fit
from vidkd.methods.probes.model import AttentiveProbe, LinearProbe, Standardise, build_model
from vidkd.methods.probes.settings import HEADS, AttentiveSettings, Head, HeadSettings

B, N, D, K = 5, 7, 10, 3


def probe(**settings) -> AttentiveProbe:
    """With weights far from their start: at the start the query is nearly nothing."""
    torch.manual_seed(0)
    model = AttentiveProbe(D, K, AttentiveSettings(attention_heads=3, head_width=4, **settings)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.7)
    model.standardise.set(torch.randn(D), torch.rand(D) + 0.5)
    return model


def features(seed: int = 0) -> torch.Tensor:
    return torch.randn(B, N, D, generator=torch.Generator().manual_seed(seed))


def layer_norm(value, weight, bias):
    centred = value - value.mean()
    return centred / np.sqrt((centred**2).mean() + 1e-5) * weight + bias


def plain(model: AttentiveProbe, clip: np.ndarray) -> np.ndarray:
    """Logits (K) of one clip (N, D), token by token and head by head, in float64."""
    p = {name: value.double().numpy() for name, value in model.state_dict().items()}
    rows = [
        layer_norm((token - p["standardise.mean"]) / p["standardise.std"], p["norm1.weight"], p["norm1.bias"])
        for token in clip
    ]
    query = p["to_query.weight"] @ p["query"] + p["to_query.bias"]
    keys_values = [p["to_key_value.weight"] @ row + p["to_key_value.bias"] for row in rows]
    heads = []
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        scores = np.array([query[part] @ both[:12][part] / math.sqrt(4) for both in keys_values])
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        heads.append(sum(w * both[12:][part] for w, both in zip(weights, keys_values, strict=True)))
    pooled = p["query"] + p["from_heads.weight"] @ np.concatenate(heads) + p["from_heads.bias"]
    hidden = p["mlp.0.weight"] @ layer_norm(pooled, p["norm2.weight"], p["norm2.bias"]) + p["mlp.0.bias"]
    hidden = hidden * 0.5 * (1 + np.array([math.erf(x / math.sqrt(2)) for x in hidden]))
    pooled = pooled + p["mlp.2.weight"] @ hidden + p["mlp.2.bias"]
    return p["classifier.weight"] @ pooled + p["classifier.bias"]


def test_the_attentive_probe_is_what_it_says():
    model, feature = probe(), features()
    expected = np.stack([plain(model, clip) for clip in feature.double().numpy()])
    np.testing.assert_allclose(model(feature).detach().numpy(), expected, rtol=2e-4, atol=2e-4)


def test_the_linear_probe_is_a_linear_map_of_the_mean():
    model, feature = LinearProbe(D, K), features()
    model.standardise.set(torch.arange(D).float(), torch.arange(D) + 1.0)
    scaled = (feature.numpy().mean(1) - np.arange(D)) / (np.arange(D) + 1)
    weight, bias = (value.detach().numpy() for value in model.classifier.parameters())
    np.testing.assert_allclose(
        model(feature).detach().numpy(), scaled @ weight.T + bias, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("model", [probe(), LinearProbe(D, K)], ids=["attentive", "linear"])
def test_the_order_of_tokens_is_not_seen(model):
    feature = features()
    order = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(model(feature), model(feature[:, order]), rtol=1e-5, atol=1e-5)
    assert (model(feature) - model(features(1))).abs().max() > 0.01


@pytest.mark.parametrize("model", [probe(), LinearProbe(D, K)], ids=["attentive", "linear"])
def test_clips_do_not_see_each_other(model):
    feature = features()
    together = model(feature)
    feature[1:] = 100
    torch.testing.assert_close(model(feature)[0], together[0])


def test_every_parameter_gets_a_gradient():
    model = probe().train()
    model(features()).square().sum().backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


def test_half_precision_features_are_computed_in_float32():
    model, feature = probe(), features().half()
    assert model(feature).dtype == torch.float32
    assert torch.equal(model(feature), model(feature.float()))


def test_a_feature_that_never_changes_keeps_its_scale():
    standardise = Standardise(3)
    standardise.set(torch.tensor([2.0, 5.0, 0.0]), torch.tensor([0.5, 1e-8, 0.0]))
    assert standardise(torch.tensor([3.0, 5.0, 0.0])).tolist() == [2.0, 0.0, 0.0]


def test_heads_are_those_that_settings_allow():
    assert set(HEADS) == set(get_args(Head)) == set(HeadSettings.model_fields)


@pytest.mark.parametrize("head", HEADS)
def test_a_head_is_fitted_as_the_others_are(head):
    assert inspect.signature(lazy.load(HEADS[head])) == inspect.signature(fit)
    assert getattr(HeadSettings(), head).cpu_threads == 1


@pytest.mark.parametrize("width", [1, 7, 320])
def test_any_width_goes_with_any_heads(width):
    for head in ("linear", "attentive"):
        model = build_model(head, width, K, HeadSettings())
        assert model(torch.randn(2, 1, width)).shape == (2, K)


def test_a_head_that_is_not_known_is_none_of_the_others():
    with pytest.raises(ValueError, match="head 'atentive' is not known"):
        build_model("atentive", D, K, HeadSettings())
