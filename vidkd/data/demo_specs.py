"""What each video of the demo shows, before it is drawn.

A motion class hardly shows in a single frame: whatever a class does not move is *held* at a random moment of
the very track that other classes move along, so that position, radius and (nearly) visibility have one
distribution for all classes. Shape, texture and colour are independent of the motion.

Every number comes from a generator keyed by (seed, domain, split, index): a video depends on nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vidkd.config.data import SPLITS, DemoSettings

Array = NDArray[np.float64]

MOTIONS = (
    "move_left", "move_right", "move_up", "move_down", "orbit_cw", "orbit_ccw",
    "approach", "recede", "left_then_right", "right_then_left", "appear", "disappear",
)  # fmt: skip
SHAPES = ("disc", "square", "triangle", "ring", "cross", "bar")
TEXTURES = ("plain", "stripes", "checker", "dots")
COLOURS = {
    "red": (225, 45, 45),
    "yellow": (230, 215, 40),
    "green": (50, 190, 60),
    "cyan": (45, 210, 215),
    "blue": (60, 80, 230),
    "magenta": (220, 55, 215),
}
_DOMAINS = ("target", "source")

_MIRRORED = (("move_left", "move_right"), ("orbit_cw", "orbit_ccw"), ("left_then_right", "right_then_left"))
FLIP_LABELS: dict[str, str] = {motion: motion for motion in MOTIONS} | dict(
    pair for one, other in _MIRRORED for pair in ((one, other), (other, one))
)
"""The motion that a video shows once it is mirrored horizontally."""


@dataclass(frozen=True)
class DomainRanges:
    """What a domain draws from, uniformly; lengths in pixels of a 56-pixel frame, times in clip lengths."""

    sweep: tuple[float, float] = (28, 36)  # length of a straight path
    sweep_drift: float = 0.4  # largest drift across a straight path, share of its length
    speed_change: float = 0.8  # how far the speed along a path may leave its mean
    legs: tuple[int, int] = (2, 2)  # legs of left_then_right and its mirror; 3 turns twice
    turn_jitter: float = 0.16  # how far a turn may leave its even place, share of a leg
    orbit_radius: tuple[float, float] = (11, 16)
    orbit_turns: tuple[float, float] = (0.9, 1.6)  # under 2: with 4 frames a step stays below half a turn
    radius: tuple[float, float] = (7, 9)  # of the shape, half-way through approach and recede
    growth: tuple[float, float] = (1.8, 2.8)  # radius at the end over radius at the start
    hidden: tuple[float, float] = (0.25, 0.6)  # share of appear and disappear without the object
    blink_chance: float = 0.5  # any other class loses sight of the object once, with this chance
    blink: tuple[float, float] = (0.08, 0.22)  # length of that absence
    fade: tuple[float, float] = (0.02, 0.08)  # time from absent to visible
    margin: float = 6  # smallest distance of a path from the border
    wobble: float = 1  # largest positional wobble
    spin: float = 0.5  # largest own rotation over the clip, radians
    ground: tuple[float, float] = (70, 150)  # mean grey level of the background
    contrast: tuple[float, float] = (0.1, 0.3)  # amplitude of the background, share of 255
    cells: tuple[int, int] = (3, 5)  # background structures per side: few is smooth
    drift: float = 2  # largest drift of the background
    distractors: tuple[int, int] = (1, 2)  # static grey shapes behind the object
    noise: tuple[float, float] = (3, 9)  # sigma of the pixel noise, grey levels
    saturation: tuple[float, float] = (0.85, 1.0)  # of the object's colour


RANGES: dict[str, DomainRanges] = {
    "target": DomainRanges(),
    "source": DomainRanges(
        sweep=(24, 38),
        orbit_radius=(9, 17),
        orbit_turns=(0.8, 1.4),
        radius=(7, 10),
        ground=(50, 110),
        contrast=(0.1, 0.25),
        cells=(6, 10),
        drift=4,
        distractors=(1, 3),
        noise=(4, 10),
        saturation=(0.7, 0.9),
    ),
}


@dataclass(frozen=True, eq=False)
class VideoSpec:
    """One video before it is drawn. Tracks hold a value per frame, in pixels, radians, opacity (0 to 1)."""

    video_id: str
    motion: str
    shape: str
    texture: str
    colour: str
    labelled: bool
    domain: str
    size: int
    key: tuple[int, ...]
    x: Array
    y: Array
    radius: Array
    angle: Array
    visible: Array


def video_spec(settings: DemoSettings, split: str, index: int) -> VideoSpec:
    """Draw what video `index` of a split shows."""
    domain = _DOMAINS.index(settings.domain)
    key = (settings.seed, domain, SPLITS.index(split), index)
    block, place = divmod(index, len(MOTIONS))
    order = np.random.default_rng((*key[:3], block, 0)).permutation(len(MOTIONS))
    motion = MOTIONS[order[place]]
    rng = np.random.default_rng((*key, 1))
    shape, texture, colour = (str(rng.choice(names)) for names in (SHAPES, TEXTURES, tuple(COLOURS)))
    x, y, radius, angle, visible = _tracks(rng, RANGES[settings.domain], motion, settings.frames)
    scale = settings.size / 56
    return VideoSpec(
        video_id=f"{settings.domain}_{split}_{index:05d}",
        motion=motion,
        shape=shape,
        texture=texture,
        colour=colour,
        labelled=split != "train" or _is_labelled(block, settings.low_label),
        domain=settings.domain,
        size=settings.size,
        key=key,
        x=np.round(x * scale, 6),
        y=np.round(y * scale, 6),
        radius=np.round(radius * scale, 6),
        angle=angle,
        visible=np.round(visible, 6),
    )


def _is_labelled(block: int, share: float) -> bool:
    """Whole blocks of one video per motion are labelled, evenly spread, the first always: exact balance."""
    exact = Fraction(str(share))
    return math.ceil((block + 1) * exact) > math.ceil(block * exact)


def _tracks(rng: np.random.Generator, ranges: DomainRanges, motion: str, frames: int) -> tuple[Array, ...]:
    """Give x, y, radius, angle and visibility; a class holds the tracks that it does not move."""
    time = (np.arange(frames) + 0.5) / frames
    legs = int(rng.integers(ranges.legs[0], ranges.legs[1] + 1)) if "then" in motion else 1
    progress = _legs(rng, ranges, time, legs)
    x, length_x = _sweep(rng, ranges, progress)
    y, length_y = _sweep(rng, ranges, progress)
    radius = rng.uniform(*ranges.radius) * rng.uniform(*ranges.growth) ** (progress - 0.5)
    cross = (progress - 0.5) * rng.uniform(-1, 1) * ranges.sweep_drift
    moment = rng.integers(frames, size=3)
    held_x, held_y, held_radius = x[moment[0]], y[moment[1]], radius[moment[2]]
    if motion in ("move_left", "move_right", "left_then_right", "right_then_left"):
        y = held_y + cross * length_x
        x = x if motion in ("move_right", "right_then_left") else 56 - x
    elif motion in ("move_up", "move_down"):
        x = held_x + cross * length_y
        y = y if motion == "move_down" else 56 - y
    elif motion in ("orbit_cw", "orbit_ccw"):
        x, y = _orbit(rng, ranges, progress, clockwise=motion == "orbit_cw")
    else:
        x, y = np.full(frames, held_x), np.full(frames, held_y)
    if motion == "recede":
        radius = radius[::-1]
    elif motion != "approach":
        radius = np.full(frames, held_radius)
    angle = rng.uniform(0, 2 * np.pi) + rng.uniform(-1, 1) * ranges.spin * time
    visible = _visibility(rng, ranges, motion, time)
    return x + _wobble(rng, ranges, time), y + _wobble(rng, ranges, time), radius, angle, visible


def _legs(rng: np.random.Generator, ranges: DomainRanges, time: Array, legs: int) -> Array:
    """Progress 0 to 1 and back along a path, each leg at its own smoothly changing speed."""
    turns = np.arange(legs + 1) / legs
    turns[1:-1] += rng.uniform(-1, 1, legs - 1) * ranges.turn_jitter / legs
    progress = np.empty_like(time)
    for leg in range(legs):
        within = (time >= turns[leg]) & (time <= turns[leg + 1])
        local = (time[within] - turns[leg]) / (turns[leg + 1] - turns[leg])
        phase, change = rng.uniform(0, 2 * np.pi), rng.uniform(0, ranges.speed_change) / (2 * np.pi)
        local = local + change * (np.sin(2 * np.pi * local + phase) - np.sin(phase))
        progress[within] = local if leg % 2 == 0 else 1 - local
    return progress


def _sweep(rng: np.random.Generator, ranges: DomainRanges, progress: Array) -> tuple[Array, float]:
    """A coordinate that rises along a straight path placed anywhere it fits, and the path's length."""
    length = rng.uniform(*ranges.sweep)
    room = max(28 - ranges.margin - length / 2, 0)
    return 28 + rng.uniform(-room, room) + length * (progress - 0.5), length


def _orbit(
    rng: np.random.Generator, ranges: DomainRanges, progress: Array, *, clockwise: bool
) -> tuple[Array, Array]:
    radius = rng.uniform(*ranges.orbit_radius)
    room = max(28 - ranges.margin - radius, 0)
    centre_x, centre_y = 28 + rng.uniform(-room, room, 2)
    turns = rng.uniform(*ranges.orbit_turns) * (1 if clockwise else -1)
    turned = 2 * np.pi * (rng.uniform() + turns * progress)
    return centre_x + radius * np.cos(turned), centre_y + radius * np.sin(turned)


def _visibility(rng: np.random.Generator, ranges: DomainRanges, motion: str, time: Array) -> Array:
    """Opacity over time: the object comes, goes, or blinks, so that absence alone names no class."""
    fade, hidden, blink = rng.uniform(*ranges.fade), rng.uniform(*ranges.hidden), rng.uniform(*ranges.blink)
    start, chance = rng.uniform(0.15, 0.85 - blink), rng.uniform()

    def since(moment: float) -> Array:
        return np.clip((time - moment) / fade + 0.5, 0, 1)

    if motion == "appear":
        return since(hidden)
    if motion == "disappear":
        return 1 - since(1 - hidden)
    if chance < ranges.blink_chance:
        return 1 - since(start) + since(start + blink)
    return np.ones_like(time)


def _wobble(rng: np.random.Generator, ranges: DomainRanges, time: Array) -> Array:
    return rng.uniform(0, ranges.wobble) * np.sin(2 * np.pi * (rng.uniform(0.5, 2) * time + rng.uniform()))
