"""Drawing a demo video: a textured shape over a smooth, drifting background with noise.

Transcendental functions touch only per-frame numbers, which are then rounded; the pixels use exactly rounded
operations alone, so that machines with other vector units draw the same frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vidkd.data.demo_specs import COLOURS, RANGES, SHAPES, Array, DomainRanges, VideoSpec

Image = NDArray[np.float32]


def render(spec: VideoSpec) -> NDArray[np.uint8]:
    """Draw a video as RGB frames (T, H, W, 3)."""
    ranges = RANGES[spec.domain]
    rng = np.random.default_rng((*spec.key, 2))
    frames = _background(rng, ranges, spec.size, len(spec.x))
    for _ in range(rng.integers(ranges.distractors[0], ranges.distractors[1] + 1)):
        _draw_distractor(rng, ranges, frames)
    _draw_object(rng, ranges, spec, frames)
    # The sum of three bytes is nearly a Gaussian of sigma 128 and, unlike one, the same on any machine.
    draws = rng.integers(0, 256, (3, len(frames), 1, spec.size, spec.size), dtype=np.uint8)
    noise = draws.sum(0, dtype=np.int16).astype(np.float32) - np.float32(382.5)
    frames += noise * np.float32(rng.uniform(*ranges.noise) / 128) + np.float32(0.5)
    return np.ascontiguousarray(np.clip(frames, 0, 255, out=frames).astype(np.uint8).transpose(0, 2, 3, 1))


def _background(rng: np.random.Generator, ranges: DomainRanges, size: int, frames: int) -> Image:
    """A smooth random field (T, 3, H, W), drawn at quarter pixels so that drifting is a choice of pixels."""
    n = int(rng.integers(ranges.cells[0], ranges.cells[1] + 1)) + 1
    grey = rng.uniform(-1, 1, (n, n, 1)) + 0.25 * rng.uniform(-1, 1, (n, n, 3))
    grid = rng.uniform(*ranges.ground) + 255 * rng.uniform(*ranges.contrast) * grey
    reach = math.ceil(ranges.drift * size / 56)
    field = np.moveaxis(_upsample(grid, 4 * (size + reach + 1)), 2, 0).astype(np.float32, order="C")
    span = 4 * reach * (np.arange(frames) / frames)[:, None] * rng.uniform(-1, 1, 2)
    steps = np.floor(span - span.min(0)).astype(int)
    return np.stack([field[:, y : y + 4 * size : 4, x : x + 4 * size : 4] for y, x in steps])


def _upsample(grid: Array, side: int) -> Array:
    """Smooth interpolation of (n, n, 3) to (side, side, 3)."""
    place = np.arange(side) * ((len(grid) - 1) / side)
    low = np.floor(place).astype(int)
    share = (place - low)[:, None, None]
    share = share * share * (3 - 2 * share)
    rows = grid[low] * (1 - share) + grid[low + 1] * share
    columns = share.reshape(1, side, 1)
    return rows[:, low] * (1 - columns) + rows[:, low + 1] * columns


def _draw_distractor(rng: np.random.Generator, ranges: DomainRanges, frames: Image) -> None:
    size = frames.shape[-1]
    x, y = rng.uniform(0, size, 2)
    shape, radius = str(rng.choice(SHAPES)), rng.uniform(*ranges.radius) * size / 56
    angle, grey = rng.uniform(0, 2 * np.pi), np.float32(rng.uniform(*ranges.ground))
    u, v = _own_coordinates(size, *(np.array([value]) for value in (x, y, radius, angle)))
    cover_HW = np.clip(0.5 - _SIGNED_DISTANCE[shape](u, v)[0] * np.float32(radius), 0, 1)
    rows, columns = (np.flatnonzero(cover_HW.any(axis)) for axis in (1, 0))
    box = (..., slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    frames[box] += cover_HW[box] * (grey - frames[box])


def _draw_object(rng: np.random.Generator, ranges: DomainRanges, spec: VideoSpec, frames: Image) -> None:
    u, v = _own_coordinates(spec.size, spec.x, spec.y, spec.radius, spec.angle)
    radius, visible = (track.astype(np.float32)[:, None, None] for track in (spec.radius, spec.visible))
    cover: Image = np.clip(0.5 - _SIGNED_DISTANCE[spec.shape](u, v) * radius, 0, 1) * visible
    full = np.array(COLOURS[spec.colour]) * rng.uniform(0.85, 1.0)
    saturation = rng.uniform(*ranges.saturation)
    colour = (saturation * full + (1 - saturation) * full.mean()).astype(np.float32)
    mark = np.full(3, 245, np.float32) if spec.texture == "dots" else np.float32(0.3) * colour
    marked = cover * _TEXTURE_MARKS[spec.texture](u, v)
    frames *= (1 - cover)[:, None]
    for channel in range(3):
        frames[:, channel] += marked * mark[channel] + (cover - marked) * colour[channel]


def _own_coordinates(size: int, x: Array, y: Array, radius: Array, angle: Array) -> tuple[Image, Image]:
    """Pixel centres (T, H, W) in the turned frame of an object whose radius is 1."""
    pixel = np.arange(size, dtype=np.float32) + np.float32(0.5)
    turn = np.round(np.stack([np.cos(angle), np.sin(angle)]), 6) / radius
    cos, sin = turn.astype(np.float32)[:, :, None, None]
    dx = (pixel - x.astype(np.float32)[:, None])[:, None, :]
    dy = (pixel - y.astype(np.float32)[:, None])[:, :, None]
    return dx * cos + dy * sin, dy * cos - dx * sin


def _box(u: Image, v: Image, width: float, height: float) -> Image:
    return np.maximum(np.abs(u) - np.float32(width), np.abs(v) - np.float32(height))


_SIGNED_DISTANCE: dict[str, Callable[[Image, Image], Image]] = {
    "disc": lambda u, v: np.sqrt(u * u + v * v) - np.float32(0.95),
    "square": lambda u, v: _box(u, v, 0.82, 0.82),
    "triangle": lambda u, v: (
        np.maximum(np.abs(u) * np.float32(0.866) - v * np.float32(0.5), v) - np.float32(0.6)
    ),
    "ring": lambda u, v: np.abs(np.sqrt(u * u + v * v) - np.float32(0.75)) - np.float32(0.25),
    "cross": lambda u, v: np.minimum(_box(u, v, 1.0, 0.33), _box(u, v, 0.33, 1.0)),
    "bar": lambda u, v: _box(u, v, 1.1, 0.42),
}


def _wave(z: Image, period: float) -> Image:
    """Triangle wave between -1 and 1."""
    z = z * np.float32(1 / period)
    return 4 * np.abs(z - np.floor(z + np.float32(0.5))) - 1


_TEXTURE_MARKS: dict[str, Callable[[Image, Image], Image]] = {
    "plain": lambda u, v: np.zeros_like(u),
    "stripes": lambda u, v: np.clip(0.5 + 1.5 * _wave(u, 0.7), 0, 1),
    "checker": lambda u, v: np.clip(0.5 + 4 * _wave(u, 1.1) * _wave(v, 1.1), 0, 1),
    "dots": lambda u, v: np.clip(0.3 - 1.5 * (_wave(u, 0.75) + _wave(v, 0.75)) - 1, 0, 1),
}
