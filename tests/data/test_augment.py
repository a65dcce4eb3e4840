"""Views of clips, against Pillow, colorsys and plain formulas."""

from __future__ import annotations

import colorsys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F

from vidkd.config.clips import ClipSettings
from vidkd.data.augment import Colour, Normalise, View, apply_view, centre_view, random_view

WHOLE = View(0, 0, 40, 60)


def noise(height=40, width=60, frames=2):
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), np.uint8)


def smooth(height, width):
    """A frame whose interpolation hardly depends on how it is done."""
    y, x = np.mgrid[:height, :width]
    channels = [127 + 120 * np.sin(x / 9), 127 + 120 * np.cos(y / 11), 127 + 120 * np.sin((x + y) / 13)]
    return np.stack(channels, -1).astype(np.uint8)[None]


def shown(frames, view, size):
    return apply_view(frames, view, size).permute(0, 2, 3, 1).numpy()


# ---- crops and flips


def test_the_default_draws_are_those_of_always():
    """Taken from the code of the published results: other values would change every one of them."""

    def drawn(settings):
        rng = np.random.default_rng([0, 3, 12345])
        views = [random_view(56, 80, settings, rng) for _ in range(3)]
        assert {(view.angle, view.colour) for view in views} == {(0, None)}
        return [(view.top, view.left, view.height, view.width, view.flip) for view in views]

    plain = [(1, 28, 49, 49, False), (3, 14, 37, 37, False), (0, 2, 56, 56, False)]
    flipped = [(1, 28, 49, 49, True), (3, 3, 37, 37, True), (0, 1, 56, 56, False)]
    assert drawn(ClipSettings()) == plain
    assert drawn(ClipSettings(flip="plain")) == flipped


def test_views_lie_inside_and_resize_as_torch_does():
    rng = np.random.default_rng(0)
    for _ in range(100):
        view = random_view(40, 60, ClipSettings(crop_scales=(1.0, 0.66)), rng)
        assert view.height == view.width
        assert view.top + view.height <= 40
        assert view.left + view.width <= 60
    frames = noise()
    out = apply_view(frames, View(3, 5, 30, 30), 20)
    crop = torch.from_numpy(frames[:, 3:33, 5:35]).permute(0, 3, 1, 2)
    expected = F.interpolate(crop.float(), (20, 20), mode="bilinear", antialias=True)
    assert (out.float() - expected).abs().max() <= 1
    assert centre_view(40, 60, 0.5) == View(10, 20, 20, 20)


def test_a_flip_mirrors():
    frames = noise(20, 20)
    np.testing.assert_array_equal(shown(frames, View(0, 0, 20, 20, flip=True), 20), frames[:, :, ::-1])


@given(
    height=st.integers(16, 400),
    width=st.integers(16, 400),
    seed=st.integers(0, 99),
    area=st.tuples(st.floats(0.05, 0.5), st.floats(0.5, 1)),
)
def test_random_rectangles_have_the_area_and_shape_asked_for(height, width, seed, area):
    settings = ClipSettings(crop="random_resized", crop_area=area, crop_aspect=(0.5, 2))
    view = random_view(height, width, settings, np.random.default_rng(seed))
    assert 0 <= view.top <= view.top + view.height <= height
    assert 0 <= view.left <= view.left + view.width <= width
    if max(height, width) <= 2 * min(height, width):  # else the frame itself may have no such rectangle
        rounding = 1.5 * (1 / view.height + 1 / view.width)
        share = view.height * view.width / (height * width)
        assert area[0] * (1 - rounding) <= share <= area[1] * (1 + rounding)
        assert 0.5 * (1 - rounding) <= view.width / view.height <= 2 * (1 + rounding)


def test_random_rectangles_spread_over_their_ranges():
    settings = ClipSettings(crop="random_resized", crop_area=(0.2, 0.8), crop_aspect=(0.75, 4 / 3))
    rng = np.random.default_rng(0)
    views = [random_view(300, 300, settings, rng) for _ in range(1000)]
    areas = np.array([view.height * view.width / 90_000 for view in views])
    aspects = np.array([view.width / view.height for view in views])
    assert np.percentile(areas, [2, 50, 98]) == pytest.approx([0.21, 0.5, 0.79], abs=0.03)
    assert np.percentile(aspects, [2, 50, 98]) == pytest.approx([0.76, 1.0, 1.32], abs=0.03)


def test_a_frame_longer_than_any_allowed_shape_gives_its_middle():
    settings = ClipSettings(crop="random_resized", crop_area=(1, 1), crop_aspect=(0.75, 4 / 3))
    assert random_view(30, 300, settings, np.random.default_rng(0)) == View(0, 130, 30, 40)
    assert random_view(300, 30, settings, np.random.default_rng(0)) == View(130, 0, 40, 30)


# ---- rotation


@pytest.mark.parametrize("angle", [7.0, -12.0, 45.0])
@pytest.mark.parametrize("shape", [(90, 90), (61, 120)])
def test_a_turned_clip_is_what_pillow_turns(angle, shape):
    height, width = shape
    frames = smooth(height, width)
    turned = np.asarray(Image.fromarray(frames[0]).rotate(angle, Image.Resampling.BILINEAR))
    cosine, sine = np.cos(np.radians(abs(angle))), np.sin(np.radians(abs(angle)))
    share = min(height / (width * sine + height * cosine), width / (width * cosine + height * sine))
    high, wide = (int(side * share) for side in shape)
    high, wide = high - (height - high) % 2, wide - (width - wide) % 2
    top, left = (height - high) // 2, (width - wide) // 2
    inside = torch.from_numpy(turned[top : top + high, left : left + wide].copy()).permute(2, 0, 1)[None]
    expected = F.interpolate(inside, (64, 64), mode="bilinear", antialias=True)
    got = apply_view(frames, View(0, 0, height, width, angle=angle), 64)
    assert (got.int() - expected.int()).abs().max() <= 3


@given(st.floats(-45, 45), st.integers(16, 120), st.integers(16, 120))
def test_a_turned_clip_has_no_empty_corner(angle, height, width):
    white = np.full((1, height, width, 3), 255, np.uint8)
    assert shown(white, View(0, 0, height, width, angle=angle), 16).min() == 255


def test_angles_are_drawn_either_way():
    rng = np.random.default_rng(0)
    angles = [random_view(50, 50, ClipSettings(rotation=10), rng).angle for _ in range(500)]
    assert np.percentile(angles, [1, 50, 99]) == pytest.approx([-9.8, 0, 9.8], abs=1)
    assert max(map(abs, angles)) <= 10


# ---- colours


def coloured(frames, **changes):
    return shown(frames, replace(WHOLE, width=40, colour=Colour(**changes)), 40).astype(float)


def grey(frames):
    return np.floor(frames @ [0.2989, 0.587, 0.114])


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.4, 2.0])
def test_brightness_contrast_and_saturation_are_blends(factor):
    """With black, with the mean grey of the frame, and with its grey picture, as Pillow's ImageEnhance."""
    frames = noise(40, 40, 3)
    values = frames.astype(float)
    mean = grey(values).mean((1, 2))[:, None, None, None]
    blends = {"brightness": 0, "contrast": mean, "saturation": grey(values)[..., None]}
    for name, other in blends.items():
        expected = np.clip(factor * values + (1 - factor) * other, 0, 255)
        assert np.abs(coloured(frames, **{name: factor}) - expected).max() < 1.01, name


@pytest.mark.parametrize("shift", [-0.3, 0.1, 0.5])
def test_hue_moves_around_the_circle(shift):
    frames = noise(40, 40, 1)
    expected = [
        colorsys.hsv_to_rgb((hsv[0] + shift) % 1, *hsv[1:])
        for hsv in (colorsys.rgb_to_hsv(*pixel) for pixel in frames.reshape(-1, 3) / 255)
    ]
    assert np.abs(coloured(frames, hue=shift) - 255 * np.array(expected).reshape(frames.shape)).max() <= 1.5


def test_each_frame_is_coloured_by_itself():
    """What a frame looks like must not depend on which other frames are in the clip."""
    frames = noise(40, 40, 4)
    view = View(0, 0, 40, 40, angle=5, colour=Colour(1.2, 0.7, 1.3, 0.1))
    whole = shown(frames, view, 24)
    alone = np.concatenate([shown(frames[k : k + 1], view, 24) for k in range(4)])
    np.testing.assert_array_equal(whole, alone)


def test_colours_are_drawn_within_their_ranges_and_apart_from_each_other():
    def colours(**settings):
        rng = np.random.default_rng(0)
        return [random_view(50, 50, ClipSettings(**settings), rng).colour for _ in range(500)]

    all_four = colours(brightness=0.4, contrast=0.3, saturation=0.2, hue=0.1)
    ranges = {"brightness": (0.6, 1.4), "contrast": (0.7, 1.3), "saturation": (0.8, 1.2), "hue": (-0.1, 0.1)}
    for name, (low, high) in ranges.items():
        values = [getattr(colour, name) for colour in all_four]
        assert low <= min(values) <= low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) <= max(values) <= high
    only = colours(contrast=0.3)
    assert [colour.contrast for colour in only] == [colour.contrast for colour in all_four]
    assert {(colour.brightness, colour.saturation, colour.hue) for colour in only} == {(1, 1, 0)}


# ---- normalisation


def test_pixels_are_normalised_by_the_models_own_figures():
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)
    pixels = noise()
    expected = (pixels / 255 - np.array(mean)) / np.array(std)
    got = Normalise(mean, std)(torch.from_numpy(pixels).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-5)
    assert not Normalise(mean, std).state_dict()


def test_nothing_is_normalised_twice():
    normalise = Normalise((0.5,) * 3, (0.2,) * 3)
    once = normalise(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))
    for already in (once, once.half(), torch.rand(1, 3, 4, 4)):
        with pytest.raises(TypeError, match="only uint8 is normalised, and only once"):
            normalise(already)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"crop_area": (0, 1)}, "two ascending shares"),
        ({"crop_area": (0.6, 0.5)}, "two ascending shares"),
        ({"crop_aspect": (2, 1)}, "two ascending numbers above 0"),
        ({"flip": "swap"}, "flip: swap needs flip_labels"),
        ({"rotation": 46}, "less than or equal to 45"),
        ({"hue": 0.6}, r"less than or equal to 0\.5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        ClipSettings(**settings)
