"""Settings of the heads that are fitted on cached features: the baselines of a frozen network."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from vidkd.config.base import Section
from vidkd.config.problems import Problems
from vidkd.config.training import TrainingSettings
from vidkd.config.variants import NAME

Head = Literal["linear", "attentive"]


class LinearSettings(Section):
    """Multinomial logistic regression on the mean of a video's tokens; it has no randomness, so one seed."""

    l2: tuple[float, ...] = Field(
        (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
        min_length=1,
        description="Strengths of the L2 penalty that are tried: half of the strength times the squared "
        "weights is added to the mean loss. Validation chooses.",
    )
    max_iter: int = Field(2000, ge=1, description="Most iterations of L-BFGS at each strength.")
    cpu_threads: int = Field(
        1, ge=1, description="Threads of a fit. A setting, because sums depend on it in the last bit."
    )

    @field_validator("l2")
    @classmethod
    def _strengths(cls, strengths: tuple[float, ...]) -> tuple[float, ...]:
        if list(strengths) != sorted(set(strengths)) or strengths[0] <= 0:
            raise ValueError(f"found {list(strengths)}; allowed: ascending numbers above 0")
        return strengths


class AttentiveSettings(TrainingSettings):
    """A learnt query that attends to the tokens of a video, a small MLP and a classifier."""

    epochs: int = Field(20, ge=1, description="Passes over the training split.")
    batch_size: int = Field(32, ge=1, description="Clips in a batch.")
    optimizer: Literal["sgd", "adamw"] = Field("adamw", description="sgd (momentum) or adamw.")
    lr: float = Field(1e-3, gt=0, description="Peak learning rate.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay.")
    warmup_epochs: float = Field(1, ge=0, description="Epochs of linear warm-up from zero.")
    attention_heads: int = Field(4, ge=1, description="Heads of the attention.")
    head_width: int = Field(64, ge=1, description="Width of each, whatever the width of the features.")
    mlp_ratio: float = Field(4.0, gt=0, description="Width of the MLP, as a multiple of the features'.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout before the classifier.")


class HeadSettings(Section):
    """What each head has of its own; changing it fits that head anew and no other."""

    linear: LinearSettings = LinearSettings()  # type: ignore[call-arg]
    attentive: AttentiveSettings = AttentiveSettings()  # type: ignore[call-arg]


class ProbeEvaluationSettings(Section):
    """What is measured of every head beside its accuracy; changing it fits none."""

    pairs: dict[str, str] = Field(
        {},
        description="Classes that differ in the order of frames only, such as move_left: move_right. How "
        "often a head tells one of a pair from the other is a column of its own: without order it is half.",
    )

    @field_validator("pairs")
    @classmethod
    def _one_partner(cls, pairs: dict[str, str]) -> dict[str, str]:
        names = [*pairs, *pairs.values()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} stands in it more than once; give each class one partner")
        return pairs


class ProbeSettings(HeadSettings):
    """Heads on cached features: which are fitted on the features of every backbone, for which labels."""

    heads: tuple[Head, ...] = Field(
        ("linear", "attentive"),
        description="Heads that are fitted on the features of every backbone: linear, attentive.",
    )
    labels: tuple[str, ...] = Field(
        (),
        description="Labels that heads are fitted for, where videos carry several (demo: motion, shape, "
        "texture, colour); empty: the data set's own.",
    )
    evaluate: ProbeEvaluationSettings = ProbeEvaluationSettings()  # type: ignore[call-arg]

    @field_validator("heads", "labels")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"found {list(names)}; allowed: each once")
        return names

    @field_validator("labels")
    @classmethod
    def _folder_names(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        text = "wrong name; allowed: lower-case letters, digits and _, for it names a folder"
        if wrong := [label for label in labels if not re.fullmatch(NAME, label)]:
            raise Problems([((label,), text) for label in wrong])
        return labels
