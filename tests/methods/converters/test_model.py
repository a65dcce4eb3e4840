"""The converters against plain re-implementations, and what they cannot see."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vidkd.errors import UserError
from vidkd.methods.converters.model import KINDS, Converter, build_converter, resize
from vidkd.methods.converters.settings import ConverterSettings

B = 5
STUDENT, TEACHER = (4, 6), (8, 7)
SHAPES = [((4, 6), (8, 7)), ((8, 6), (4, 3)), ((4, 6), (4, 6)), ((1, 6), (1, 9)), ((1, 6), (5, 2))]


def converter(kind: str, student=STUDENT, teacher=TEACHER, **settings) -> Converter:
    """With weights far from their start: at the start queries are nearly nothing."""
    torch.manual_seed(0)
    own = ConverterSettings(kind=kind, width=12, heads=3, **settings)
    model = build_converter(own, student, teacher).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.5)
    for side, (_, width) in ((model.student, student), (model.teacher, teacher)):
        side.set(torch.randn(width), torch.rand(width) + 0.5)
    return model


def features(shape=STUDENT, seed: int = 0) -> torch.Tensor:
    return torch.randn(B, *shape, generator=torch.Generator().manual_seed(seed))


def weights_of(model) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in model.state_dict().items()}


def linear(p, name, value):
    return value @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def norm(p, name, value):
    centred = value - value.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * p[f"{name}.weight"] + p[f"{name}.bias"]


def gelu(value):
    return value * 0.5 * (1 + np.vectorize(math.erf)(value / math.sqrt(2)))


def between(value: np.ndarray, after: int) -> np.ndarray:
    """Tokens (N, D) at `after` places that lie as evenly in the clip, each between the two nearest."""
    before = len(value)
    places = (np.arange(after) + 0.5) * before / after - 0.5
    return np.stack([np.interp(places, np.arange(before), column) for column in value.T], axis=1)


def plain_linear(p, clip):
    return between(linear(p, "core.0", clip), TEACHER[0])


def plain_resampler(p, clip):
    token = linear(p, "core.enter", clip)
    for layer in range(2):
        block = f"core.blocks.{layer}"
        inner = norm(p, f"{block}.norm", token)
        padded = np.concatenate([0 * inner[:1], inner, 0 * inner[:1]])
        kernel = p[f"{block}.over_time.weight"].reshape(12, 12, 3)  # as that of nn.Conv1d
        near = np.stack(
            [sum(kernel[:, :, k] @ padded[step + k] for k in range(3)) for step in range(len(token))]
        )
        near = near + p[f"{block}.over_time.bias"]
        token = token + linear(p, f"{block}.mix", gelu(near))
    return linear(p, "core.leave", between(token, TEACHER[0]))


def plain_perceiver(p, clip):
    token = linear(p, "core.enter", clip) + p["core.place_NW"]
    query = p["core.query_MW"]
    for layer in range(2):
        block = f"core.layers.{layer}"
        asked = linear(p, f"{block}.to_query", norm(p, f"{block}.query_norm", query))
        both = linear(p, f"{block}.to_key_value", norm(p, f"{block}.token_norm", token))
        heads = []
        for head in range(3):
            part = slice(4 * head, 4 * head + 4)
            score = asked[:, part] @ both[:, :12][:, part].T / math.sqrt(4)
            share = np.exp(score - score.max(1, keepdims=True))
            share /= share.sum(1, keepdims=True)
            heads.append(share @ both[:, 12:][:, part])
        query = query + linear(p, f"{block}.from_heads", np.concatenate(heads, 1))
        inner = gelu(linear(p, f"{block}.mlp.0", norm(p, f"{block}.mlp_norm", query)))
        query = query + linear(p, f"{block}.mlp.2", inner)
    return linear(p, "core.leave", query)


PLAIN = {"linear": plain_linear, "resampler": plain_resampler, "perceiver": plain_perceiver}


@pytest.mark.parametrize("kind", KINDS)
def test_a_converter_is_what_it_says(kind):
    model, feature = converter(kind), features()
    p = weights_of(model)
    scaled = (feature.double().numpy() - p["student.mean"]) / p["student.std"]
    expected = np.stack([PLAIN[kind](p, clip) for clip in scaled])
    tolerance = {"rtol": 5e-4, "atol": 5e-4}
    np.testing.assert_allclose(model.standardised(feature).detach().numpy(), expected, **tolerance)
    own = expected * p["teacher.std"] + p["teacher.mean"]
    np.testing.assert_allclose(model(feature).detach().numpy(), own, **tolerance)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("student", "teacher"), SHAPES)
def test_any_tokens_and_widths(kind, student, teacher):
    model = converter(kind, student, teacher)
    assert model(features(student)).shape == (B, *teacher)
    assert (model.student_shape, model.teacher_shape) == (student, teacher)


@pytest.mark.parametrize("kind", KINDS)
def test_clips_do_not_see_each_other(kind):
    model = converter(kind)
    many = torch.cat([features(seed=seed) for seed in range(13)])[:64]
    together = model(many)
    alone = torch.cat([model(clip) for clip in many.split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
    many[1:] = 100
    torch.testing.assert_close(model(many)[0], together[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_has_statistics_over_the_batch(kind):
    model = converter(kind)
    assert not [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._NormBase)]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()(features())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", ["fresh", "far"])
def test_every_parameter_gets_a_gradient(kind, start):
    if start == "fresh":
        model = build_converter(ConverterSettings(kind=kind, width=12, heads=3), STUDENT, TEACHER)
    else:
        model = converter(kind).train()
    model(features()).square().sum().backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_features_are_computed_in_float32(kind):
    model, feature = converter(kind), features().half()
    assert model(feature).dtype == torch.float32
    assert torch.equal(model(feature), model(feature.float()))


@pytest.mark.parametrize("kind", ["resampler", "perceiver"])
def test_tokens_have_a_place(kind):
    """A clip that runs backwards is not converted to the same tokens in another order."""
    model, feature = converter(kind), features()
    backwards = model(feature.flip(1)).flip(1)
    assert (backwards - model(feature)).abs().max() > 0.05


def test_dropout_is_only_in_training():
    model, feature = converter("resampler", dropout=0.5), features()
    assert torch.equal(model(feature), model(feature))
    model.train()
    assert not torch.equal(model(feature), model(feature))


@pytest.mark.parametrize(("before", "after"), [(4, 8), (8, 4), (4, 4), (1, 6), (2, 1), (5, 7), (16, 9)])
def test_tokens_are_interpolated_as_torch_does(before, after):
    token = torch.randn(3, before, 5)
    expected = F.interpolate(token.transpose(1, 2), size=after, mode="linear").transpose(1, 2)
    torch.testing.assert_close(resize(before, after)(token), expected)
    assert not list(resize(before, after).state_dict())


def test_heads_that_do_not_divide_the_width():
    settings = ConverterSettings(kind="perceiver", width=250, heads=4)
    with pytest.raises(UserError, match="heads 4 do not divide width 250: change one of them"):
        build_converter(settings, STUDENT, TEACHER)


@pytest.mark.parametrize(("before", "after"), [(8, 1), (16, 4), (11, 3), (32, 8), (8, 4), (7, 4), (3, 2)])
def test_no_token_is_left_out_when_there_are_to_be_fewer(before, after):
    weight_MN = resize(before, after)(torch.eye(before)[None])[0]
    assert (weight_MN.sum(0) > 0).all()
    torch.testing.assert_close(weight_MN.sum(1), torch.ones(after))


def test_a_clip_has_the_mean_of_all_its_tokens():
    token = torch.randn(2, 9, 5)
    torch.testing.assert_close(resize(9, 1)(token), token.mean(1, keepdim=True))
    torch.testing.assert_close(resize(32, 8)(token.repeat(1, 4, 1)[:, :32])[:, 0], token[:, :4].mean(1))
