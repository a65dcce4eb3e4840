"""Settings of the training engine, shared by all methods, and the names of weights to start from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from vidkd.config.base import Section


class TrainingSettings(Section):
    """How a network is trained; every method's settings extend these."""

    epochs: int = Field(50, ge=1, description="Passes over the training split.")
    batch_size: int = Field(8, ge=1, description="Clips in a batch, of all processes together.")
    accumulate: int = Field(1, ge=1, description="Batches whose gradients are added before a step.")
    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="sgd (momentum) or adamw.")
    lr: float = Field(0.01, gt=0, description="Peak learning rate.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum, with sgd.")
    weight_decay: float = Field(5e-4, ge=0, description="Weight decay.")
    schedule: Literal["cosine", "step", "constant"] = Field("cosine", description="Learning-rate schedule.")
    milestones: tuple[int, ...] = Field(
        (20, 40), description="Epochs at which `step` multiplies the rate by step_factor."
    )
    step_factor: float = Field(
        0.1, gt=0, le=1, description="What `step` multiplies the rate by, at each of milestones."
    )
    warmup_epochs: float = Field(0, ge=0, description="Epochs of linear warm-up from zero.")
    clip_grad: float | None = Field(
        None, gt=0, description="Largest gradient norm; null leaves gradients alone."
    )
    precision: Literal["no", "bf16", "fp16"] = Field("no", description="Mixed precision; `no` is float32.")
    patience: int | None = Field(
        None,
        ge=1,
        description="Validations without improvement before training stops early; null never does.",
    )
    validate_every: int = Field(
        1, ge=1, description="Epochs between validations; the best one's weights are kept."
    )
    validate_steps: int | None = Field(
        None,
        ge=1,
        description="Steps of the optimizer between validations, in place of validate_every; history.csv "
        "has a row for each.",
    )
    cpu_threads: int = Field(
        1,
        ge=1,
        description="Threads of one training on the CPU. A setting, because sums depend on it "
        "in the last bit.",
    )


class FeatureTrainingSettings(TrainingSettings):
    """How a network on cached features is trained; those of several methods extend these."""

    epochs: int = Field(20, ge=1, description="Passes over the training split.")
    batch_size: int = Field(32, ge=1, description="Clips in a batch.")
    optimizer: Literal["sgd", "adamw"] = Field("adamw", description="sgd (momentum) or adamw.")
    lr: float = Field(1e-3, gt=0, description="Peak learning rate.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay.")
    warmup_epochs: float = Field(1, ge=0, description="Epochs of linear warm-up from zero.")


SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".tar")
"""How the name of a weights file ends."""


def is_weights_file(source: str) -> bool:
    """Say whether `source` is a file; else it names weights of torchvision."""
    return Path(source).suffix in SUFFIXES


def torchvision_network(source: str) -> str | None:
    """Name the network of a torchvision weights name: resnet50 of ResNet50_Weights.DEFAULT."""
    match = None if is_weights_file(source) else re.fullmatch(r"(\w+)_Weights\.\w+", source)
    return match[1].lower() if match else None
