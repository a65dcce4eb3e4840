"""Settings of the clips that a network is trained on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from vidkd.config.base import Section


class ClipSettings(Section):
    """Crops, flips and normalisation of a clip; one draw is shared by all its frames."""

    size: int = Field(224, ge=16, description="Height and width of a clip in pixels.")
    crop_scales: tuple[float, ...] = Field(
        (1.0, 0.875, 0.75, 0.66), min_length=1, description="Training crops, as shares of the short side."
    )
    eval_crop: float = Field(
        0.875, gt=0, le=1, description="Centre crop of evaluation, as a share of the short side."
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

    @field_validator("crop_scales")
    @classmethod
    def _shares(cls, scales: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 < scale <= 1 for scale in scales):
            raise ValueError(f"found {list(scales)}; allowed: shares above 0, at most 1")
        return scales

    @field_validator("std")
    @classmethod
    def _above_zero(cls, std: tuple[float, float, float]) -> tuple[float, float, float]:
        if not all(value > 0 for value in std):
            raise ValueError(f"found {list(std)}; allowed: numbers above 0")
        return std

    @field_validator("flip_labels")
    @classmethod
    def _pairs(cls, pairs: dict[str, str]) -> dict[str, str]:
        """One partner a label; a pair may stand both ways, an unchanged label is its own partner."""
        partner: dict[str, str] = {}
        for one, other in [*pairs.items(), *((other, one) for one, other in pairs.items())]:
            if partner.setdefault(one, other) != other:
                raise ValueError(f"{one} is paired with {partner[one]} and with {other}; give it one partner")
        return pairs
