"""Settings of the clips that a network is trained on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from vidkd.config.base import Section


class ClipSettings(Section):
    """Frames, crops, flips and colours of a clip; one draw is shared by all its frames."""

    frame_sampling: Literal["segments", "centres", "sorted_random", "dense"] = Field(
        "segments",
        description="Frames of a training clip, among the frames.per_video kept ones. segments: a random one "
        "of each of T equal segments. centres: the middle ones. sorted_random: T random ones in order. "
        "dense: every frame_stride-th from a random start.",
    )
    eval_frame_sampling: Literal["centres", "dense"] = Field(
        "centres",
        description="Frames of an evaluation clip, among the kept ones: the middles of T equal segments, or "
        "every frame_stride-th around the middle.",
    )
    frame_stride: int = Field(
        1,
        ge=1,
        description="Step of dense sampling, in kept frames; (T - 1) x frame_stride + 1 must not exceed "
        "frames.per_video.",
    )
    size: int = Field(224, ge=16, description="Height and width of a clip in pixels.")
    crop: Literal["multi_scale", "random_resized"] = Field(
        "multi_scale",
        description="Training crop, resized to `size`. multi_scale: a square of one of crop_scales. "
        "random_resized: a rectangle by crop_area and crop_aspect.",
    )
    crop_scales: tuple[float, ...] = Field(
        (1.0, 0.875, 0.75, 0.66),
        min_length=1,
        description="Sides of multi_scale crops, as shares of the short side.",
    )
    crop_area: tuple[float, float] = Field(
        (0.08, 1.0), description="Least and largest area of a random_resized crop, as a share of the frame."
    )
    crop_aspect: tuple[float, float] = Field(
        (0.75, 4 / 3), description="Least and largest width / height of a random_resized crop."
    )
    eval_crop: float = Field(
        0.875, ge=0.1, le=1, description="Centre crop of evaluation, as a share of the short side."
    )
    flip: Literal["none", "plain", "swap"] = Field(
        "none", description="Horizontal flip in training: none, plain, or swapping labels by flip_labels."
    )
    flip_labels: dict[str, str] = Field(
        {}, description="Label after a flip, for those that it changes (both ways)."
    )
    rotation: float = Field(
        0,
        ge=0,
        le=45,
        description="Training crops are turned by up to so many degrees either way; what is left is the "
        "largest upright part of the crop without empty corners.",
    )
    brightness: float = Field(
        0, ge=0, le=1, description="Colour jitter in training: brightness times 1 - this to 1 + this."
    )
    contrast: float = Field(0, ge=0, le=1, description="The same for the contrast.")
    saturation: float = Field(0, ge=0, le=1, description="The same for the saturation.")
    hue: float = Field(
        0, ge=0, le=0.5, description="Hue shifted by up to this either way, as a share of the colour circle."
    )

    def kept_frames(self, count: int, sampling: str) -> int:
        """How many kept frames a clip of `count` frames must be taken from."""
        return (count - 1) * self.frame_stride + 1 if sampling == "dense" else count

    @property
    def jitter(self) -> tuple[float, float, float, float]:
        """How far brightness, contrast, saturation and hue are changed."""
        return self.brightness, self.contrast, self.saturation, self.hue

    @field_validator("crop_scales")
    @classmethod
    def _shares(cls, scales: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0.1 <= scale <= 1 for scale in scales):
            raise ValueError(f"found {list(scales)}; allowed: shares from 0.1 to 1")
        return scales

    @field_validator("crop_area")
    @classmethod
    def _areas(cls, areas: tuple[float, float]) -> tuple[float, float]:
        if not 0 < areas[0] <= areas[1] <= 1:
            raise ValueError(f"found {list(areas)}; allowed: two ascending shares above 0, at most 1")
        return areas

    @field_validator("crop_aspect")
    @classmethod
    def _aspects(cls, aspects: tuple[float, float]) -> tuple[float, float]:
        if not 0 < aspects[0] <= aspects[1]:
            raise ValueError(f"found {list(aspects)}; allowed: two ascending numbers above 0")
        return aspects

    @field_validator("flip_labels")
    @classmethod
    def _pairs(cls, pairs: dict[str, str]) -> dict[str, str]:
        """One partner a label; a pair may stand both ways, an unchanged label is its own partner."""
        partner: dict[str, str] = {}
        for one, other in [*pairs.items(), *((other, one) for one, other in pairs.items())]:
            if partner.setdefault(one, other) != other:
                raise ValueError(f"{one} is paired with {partner[one]} and with {other}; give it one partner")
        return pairs

    @model_validator(mode="after")
    def _something_to_swap(self) -> ClipSettings:
        if self.flip == "swap" and not self.flip_labels:
            raise ValueError("flip: swap needs flip_labels, which say what each label becomes; or use plain")
        return self


class NormalisedClipSettings(ClipSettings):
    """Such clips, and the normalisation of networks that have none of their own."""

    mean: tuple[float, float, float] = Field(
        (0.485, 0.456, 0.406), description="RGB mean of the input, 0 to 1."
    )
    std: tuple[float, float, float] = Field(
        (0.229, 0.224, 0.225), description="RGB standard deviation, 0 to 1."
    )

    @field_validator("mean")
    @classmethod
    def _zero_to_one(cls, mean: tuple[float, float, float]) -> tuple[float, float, float]:
        if not all(0 <= value <= 1 for value in mean):
            raise ValueError(
                f"found {list(mean)}; allowed: numbers from 0 to 1 (divide those of bytes by 255)"
            )
        return mean

    @field_validator("std")
    @classmethod
    def _up_to_one(cls, std: tuple[float, float, float]) -> tuple[float, float, float]:
        if not all(0.001 <= value <= 1 for value in std):
            raise ValueError(
                f"found {list(std)}; allowed: numbers from 0.001 to 1 (divide those of bytes by 255)"
            )
        return std
