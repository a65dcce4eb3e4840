"""Transforms of uint8 clips: one draw for a clip, shared by all its frames and frame counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:  # frames and features are made without clip settings, and do not run again because of them
    from vidkd.config.clips import ClipSettings

_TRIES = 10


@dataclass(frozen=True)
class Colour:
    """Factors of brightness, contrast and saturation (1: as it is); hue shift as a share of its circle."""

    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0


@dataclass(frozen=True)
class View:
    """How a clip is seen.

    Attributes:
        top: of the crop, in pixels of the stored frame.
        left: of the crop.
        height: of the crop.
        width: of the crop.
        flip: whether it is mirrored.
        angle: degrees counterclockwise by which it is turned then.
        colour: its colours then; None leaves them.
    """

    top: int
    left: int
    height: int
    width: int
    flip: bool = False
    angle: float = 0.0
    colour: Colour | None = None


def random_view(height: int, width: int, settings: ClipSettings, rng: np.random.Generator) -> View:
    """Draw the view of a training clip from frames of `height` x `width` pixels."""
    if settings.crop == "multi_scale":
        crop = _square(height, width, settings.crop_scales, rng)
    else:
        crop = _rectangle(height, width, settings.crop_area, settings.crop_aspect, rng)
    flip = settings.flip != "none" and bool(rng.random() < 0.5)
    angle = rng.uniform(-settings.rotation, settings.rotation) if settings.rotation else 0.0
    return View(*crop, flip, angle, _colour(settings.jitter, rng) if any(settings.jitter) else None)


def centre_view(height: int, width: int, scale: float) -> View:
    """Return the middle square of `scale` times the short side."""
    side = max(1, round(min(height, width) * scale))
    return View((height - side) // 2, (width - side) // 2, side, side)


def apply_view(frames_THWC: np.ndarray, view: View, size: int) -> Tensor:
    """Crop, mirror, turn, resize (bilinear, antialiased), colour uint8 frames: uint8 (T, 3, size, size)."""
    crop = frames_THWC[:, view.top : view.top + view.height, view.left : view.left + view.width]
    clip_TCHW = torch.from_numpy(np.ascontiguousarray(crop[:, :, ::-1] if view.flip else crop)).permute(
        0, 3, 1, 2
    )
    if view.angle:
        from vidkd.data.jitter import turned

        clip_TCHW = turned(clip_TCHW, view.angle)
    if clip_TCHW.shape[-2:] != (size, size):
        clip_TCHW = F.interpolate(clip_TCHW, (size, size), mode="bilinear", antialias=True)
    if view.colour is not None:
        from vidkd.data.jitter import coloured

        clip_TCHW = coloured(clip_TCHW, *astuple(view.colour))
    return clip_TCHW


class Normalise(nn.Module):
    """From uint8 pixels to a network's input: the one place where that is done, inside the network.

    It takes uint8 only, so that nothing can be normalised twice.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", 255 * torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute (value / 255 - mean) / std of uint8 (..., 3, H, W), as float32.

        Raises:
            TypeError: the pixels are not uint8.
        """
        if pixels.dtype != torch.uint8:
            raise TypeError(f"pixels are {pixels.dtype}: only uint8 is normalised, and only once")
        return (pixels.float() - self.mean) / self.std


def resized(pixels_NCHW: Tensor, size: int) -> Tensor:
    """Resize uint8 frames (N, 3, H, W) to `size` x `size` pixels (bilinear, antialiased)."""
    if pixels_NCHW.shape[-1] == size:
        return pixels_NCHW
    if pixels_NCHW.device.type == "cpu":
        return F.interpolate(pixels_NCHW, (size, size), mode="bilinear", antialias=True)
    # Only the CPU resizes bytes.
    resized_NCHW = F.interpolate(pixels_NCHW.float(), (size, size), mode="bilinear", antialias=True)
    return resized_NCHW.round().clamp(0, 255).byte()


def _square(
    height: int, width: int, scales: Sequence[float], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Top, left, height, width of a square of a random scale of the short side, at a random place."""
    side = max(1, round(min(height, width) * scales[int(rng.integers(len(scales)))]))
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    return int(top), int(left), side, side


def _rectangle(
    height: int,
    width: int,
    area: tuple[float, float],
    aspect: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[int, int, int, int]:
    """Top, left, height, width of a rectangle of random area and width / height, at a random place."""
    for _ in range(_TRIES):
        pixels = height * width * rng.uniform(*area)
        ratio = math.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1])))
        wide, high = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < wide <= width and 0 < high <= height:
            top, left = rng.integers(height - high + 1), rng.integers(width - wide + 1)
            return int(top), int(left), high, wide
    # A frame longer than any allowed shape: the largest allowed one in its middle, as torchvision does.
    wide = max(1, min(width, round(height * aspect[1])))
    high = max(1, min(height, round(width / aspect[0])))
    return (height - high) // 2, (width - wide) // 2, high, wide


def _colour(jitter: tuple[float, float, float, float], rng: np.random.Generator) -> Colour:
    """Each is drawn, also where its setting is 0: one setting does not change another's draw."""
    brightness, contrast, saturation, hue = np.array(jitter) * rng.uniform(-1, 1, 4)
    return Colour(1 + float(brightness), 1 + float(contrast), 1 + float(saturation), float(hue))
