"""Spatial transforms of uint8 clips: one draw for a clip, shared by all its frames and frame counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class View:
    """A square crop in pixels of the stored frame, and whether it is mirrored."""

    top: int
    left: int
    side: int
    flip: bool


def random_view(
    height: int, width: int, scales: Sequence[float], flip: bool, rng: np.random.Generator
) -> View:
    """A square of a random scale of the short side at a random place, mirrored half the time if `flip`."""
    side = max(1, round(min(height, width) * scales[int(rng.integers(len(scales)))]))
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    return View(int(top), int(left), side, bool(flip and rng.random() < 0.5))


def centre_view(height: int, width: int, scale: float) -> View:
    """The middle square of `scale` times the short side."""
    side = max(1, round(min(height, width) * scale))
    return View((height - side) // 2, (width - side) // 2, side, flip=False)


def apply_view(frames_THWC: np.ndarray, view: View, size: int) -> Tensor:
    """Crop, mirror and resize (bilinear, antialiased) uint8 frames to uint8 (T, 3, size, size)."""
    crop = frames_THWC[:, view.top : view.top + view.side, view.left : view.left + view.side]
    clip_TCHW = torch.from_numpy(np.ascontiguousarray(crop[:, :, ::-1] if view.flip else crop)).permute(
        0, 3, 1, 2
    )
    if view.side == size:
        return clip_TCHW
    return F.interpolate(clip_TCHW, (size, size), mode="bilinear", antialias=True)
