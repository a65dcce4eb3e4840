"""Settings of the clips that a network is trained on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vidkd.config.base import Section


class ClipSettings(Section):
    """Crops, flips and normalisation of a clip; one draw is shared by all its frames."""

    size: int = Field(224, ge=16, description="Height and width of a clip in pixels.")
    crop_scales: tuple[float, ...] = Field(
        (1.0, 0.875, 0.75, 0.66), min_length=1, description="Training crops, as shares of the short side."
    )
    flip: Literal["none", "plain", "swap"] = Field(
        "none", description="Horizontal flip in training: none, plain, or swapping labels by flip_labels."
    )
    flip_labels: dict[str, str] = Field(
        {}, description="Label after a flip, for those that it changes (both ways)."
    )
    mean: tuple[float, float, float] = Field(
        (0.485, 0.456, 0.406), description="RGB mean of the input, 0 to 1."
    )
    std: tuple[float, float, float] = Field(
        (0.229, 0.224, 0.225), description="RGB standard deviation, 0 to 1."
    )
