"""Rotation and colours of clips, by torchvision: a module of its own, as importing that takes a second."""

from __future__ import annotations

import math

from torch import Tensor

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision

# isort: split
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as T


def turned(clip_TCHW: Tensor, angle: float) -> Tensor:
    """Turn a uint8 clip by `angle` degrees counterclockwise (bilinear) and keep what needs no filled corner.

    That is the largest rectangle of the clip's own shape inside the turned one, so every pixel is real.
    """
    height, width = clip_TCHW.shape[-2:]
    cosine, sine = math.cos(math.radians(angle)), abs(math.sin(math.radians(angle)))
    share = min(height / (width * sine + height * cosine), width / (width * cosine + height * sine))
    # As odd or even as the clip, so that both have the same centre.
    high, wide = (max(side - 2 * math.ceil(side * (1 - share) / 2), 1) for side in (height, width))
    turned_TCHW = T.rotate(clip_TCHW, angle, interpolation=InterpolationMode.BILINEAR)
    return T.center_crop(turned_TCHW, [high, wide])


def coloured(clip_TCHW: Tensor, brightness: float, contrast: float, saturation: float, hue: float) -> Tensor:
    """Change the colours of a uint8 clip; contrast is about each frame's own mean grey.

    Args:
        clip_TCHW: RGB frames.
        brightness: factor; 1 leaves it as it is.
        contrast: factor.
        saturation: factor.
        hue: shift, as a share of its circle; 0 leaves it as it is.
    """
    clip_TCHW = clip_TCHW.contiguous()  # channel by channel, which halves the time
    if brightness != 1:
        clip_TCHW = T.adjust_brightness(clip_TCHW, brightness)
    if contrast != 1:
        clip_TCHW = T.adjust_contrast(clip_TCHW, contrast)
    if saturation != 1:
        clip_TCHW = T.adjust_saturation(clip_TCHW, saturation)
    return T.adjust_hue(clip_TCHW, hue) if hue else clip_TCHW
