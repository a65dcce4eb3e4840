"""Which frames make a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # frames and features are made without clip settings, and do not run again because of them
    from vidkd.config.clips import ClipSettings


def segment_centres(total: int, count: int) -> np.ndarray:
    """Take the middle frame of each of `count` equal segments of `total` frames: int64 (count,), ascending.

    Frames repeat when there are fewer than `count`.
    """
    return (2 * np.arange(count) + 1) * total // (2 * count)


def random_in_segments(total: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a frame of each of `count` equal segments of `total` frames: int64 (count,), ascending."""
    edges = np.arange(count + 1) * total // count
    return rng.integers(edges[:-1], np.maximum(edges[1:], edges[:-1] + 1))


def sorted_random(total: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `count` of `total` frames and sort them: int64 (count,), ascending.

    Frames repeat only when there are fewer than `count`, and then each as often as another, give or take one.
    """
    every = np.tile(np.arange(total), count // total)
    return np.sort(np.concatenate([every, rng.choice(total, count % total, replace=False)]))


def _strided(start: int, count: int, stride: int) -> np.ndarray:
    """Take every `stride`-th frame from `start` on: int64 (count,), ascending."""
    return start + stride * np.arange(count)


def training_positions(
    total: int, count: int, settings: ClipSettings, rng: np.random.Generator
) -> np.ndarray:
    """Choose the positions of a training clip among `total` kept frames: int64 (count,), ascending.

    Raises:
        ValueError: the clip does not fit; `check_clips` refuses that before anything is trained.
    """
    match settings.frame_sampling:
        case "segments":
            return random_in_segments(total, count, rng)
        case "centres":
            return segment_centres(total, count)
        case "sorted_random":
            return sorted_random(total, count, rng)
        case "dense":
            room = _room(total, count, settings.frame_stride)
            return _strided(int(rng.integers(room + 1)), count, settings.frame_stride)


def evaluation_positions(total: int, count: int, settings: ClipSettings) -> np.ndarray:
    """Choose the positions of an evaluation clip among `total` kept frames: int64 (count,), ascending.

    Raises:
        ValueError: the clip does not fit; `check_clips` refuses that before anything is evaluated.
    """
    if settings.eval_frame_sampling == "centres":
        return segment_centres(total, count)
    return _strided(_room(total, count, settings.frame_stride) // 2, count, settings.frame_stride)


def _room(total: int, count: int, stride: int) -> int:
    """How many frames are left beside a dense clip."""
    room = total - (count - 1) * stride - 1
    if room < 0:
        raise ValueError(f"{count} frames with a stride of {stride} do not fit into {total}")
    return room
