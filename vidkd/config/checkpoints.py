"""Settings of the small networks that a configuration trains itself, in place of those of a hub."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from vidkd.config.backbones import Kind
from vidkd.config.data import DemoSettings, GeneratedSettings
from vidkd.config.problems import Problem, Problems
from vidkd.config.training import TrainingSettings

PER_FRAME = ("clip", "timm")
"""Kinds that see frames one by one."""


UNUSED = 12
"""Test videos of the source: a data set has some, and nothing reads these."""


class SourceSettings(GeneratedSettings):
    """The generated videos that `checkpoints` are trained on: none of them is in the demo's own data set."""

    train: int = Field(4000, ge=1, description="Training videos.")
    val: int = Field(300, ge=1, description="Validation videos: they choose the epoch.")

    @property
    def demo(self) -> DemoSettings:
        """These videos as those of any demo: what generates them."""
        return DemoSettings(domain="source", test=UNUSED, **self.model_dump())


class CheckpointSettings(TrainingSettings):
    """A small network of a library's own class, trained on `source`, saved in that library's format."""

    kind: Kind = Field("videomae", description="As in `backbones`.")
    layout: Literal["library", "original"] = Field(
        "library",
        description="How the weights are saved. library: by the kind's library. original: as a file of the "
        "original VideoMAE and AMD code, fine-tuned, without its head, beside which lies what such a file "
        "does not say; videomae only.",
    )
    seed: int = Field(0, ge=0, description="Seed of the weights, the order, the augmentation, the captions.")
    epochs: int = Field(8, ge=1, description="Passes over the training split.")
    batch_size: int = Field(16, ge=1, description="Clips in a batch.")
    optimizer: Literal["sgd", "adamw"] = Field("adamw", description="sgd (momentum) or adamw.")
    lr: float = Field(2e-3, gt=0, description="Peak learning rate.")
    weight_decay: float = Field(0.02, ge=0, description="Weight decay; none on norms and biases.")
    warmup_epochs: float = Field(0.5, ge=0, description="Epochs of linear warm-up from zero.")
    clip_grad: float | None = Field(
        5, gt=0, description="Largest gradient norm; null leaves gradients alone."
    )
    frames: int = Field(
        8,
        ge=1,
        description="Frames of a training clip; clip and timm see one at a time, and take their mean.",
    )
    size: int = Field(48, ge=16, description="Height and width of a frame in pixels.")
    crop: float = Field(
        0.857,
        ge=0.1,
        le=1,
        description="Side of the square that is seen, as a share of the short side: a random one in "
        "training, the middle one afterwards. clip has to see all: 1. vjepa2 has no choice: 0.875.",
    )
    patch: int = Field(8, ge=1, description="Side of a patch in pixels; timm has none.")
    tubelet: int = Field(
        2, ge=1, description="Frames of a time step: videomae, vivit and vjepa2; the others have one."
    )
    width: int = Field(
        64,
        ge=8,
        description="Width of the network, whose new weights are drawn for one near 64; of timm, which "
        "multiplies all its widths and draws its own, in percent.",
    )
    layers: int = Field(3, ge=1, description="Layers; timm's are those of its architecture.")
    heads: int = Field(4, ge=1, description="Attention heads; timm's are those of its architecture.")
    architecture: str = Field("mobilevit_xxs", description="Model of timm.")
    appearance: float = Field(
        0.5,
        ge=0,
        description="Weight of the losses of shape, texture and colour, by classifiers that are dropped "
        "afterwards: beside the motion's, which is learnt sooner with them, and beside clip's own. timm is "
        "trained on them alone.",
    )

    @model_validator(mode="after")
    def _builds(self) -> CheckpointSettings:
        found: list[Problem] = []
        if self.kind != "timm":
            if self.size % self.patch:
                found.append((("patch",), f"{self.size} pixels do not divide into patches of {self.patch}"))
            if self.width % self.heads:
                found.append((("heads",), f"a width of {self.width} does not divide by {self.heads}"))
        if self.layout == "original" and self.kind != "videomae":
            found.append((("layout",), "original is a layout of videomae alone: set library"))
        if self.kind == "timm" and not self.appearance:
            found.append((("appearance",), "timm is trained on nothing else: set it above 0"))
        if self.kind == "clip" and self.crop != 1:
            found.append((("crop",), "clip sees the whole middle square of a frame: set 1"))
        if self.kind == "vjepa2" and self.crop != 0.875:
            found.append((("crop",), "the processor of vjepa2 resizes to 256 / 224 of its crop: set 0.875"))
        if self.steps * self.tubelet != self.frames and self.kind not in (*PER_FRAME, "timesformer"):
            text = f"{self.frames} frames do not divide into tubelets of {self.tubelet}"
            found.append((("tubelet",), text))
        if found:
            raise Problems(found)
        return self

    @property
    def steps(self) -> int:
        """Time steps of a clip."""
        single = self.kind in (*PER_FRAME, "timesformer")
        return self.frames if single else self.frames // self.tubelet
