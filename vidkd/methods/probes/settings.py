"""Settings of the heads that are fitted on cached features: the baselines of a frozen network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_serializer

from vidkd.config.base import Section
from vidkd.config.data import WITH_LABELS
from vidkd.config.problems import Problem, Problems
from vidkd.config.teacher import LinearSettings
from vidkd.config.training import TrainingSettings
from vidkd.config.variants import NAME
from vidkd.methods.base import MethodSettings

if TYPE_CHECKING:
    from vidkd.config.settings import CommonSettings

Head = Literal["linear", "attentive"]


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


class ProbeRun(HeadSettings):
    """One run: which head is fitted, and how."""

    head: Head = Field("linear", description="The head: linear or attentive.")

    @model_serializer
    def _without_others(self) -> dict[str, Any]:
        """The settings of other heads are none of the run's."""
        return {"head": self.head, self.head: getattr(self, self.head).model_dump()}

    @property
    def cpu_threads(self) -> int:
        """Threads of its fit."""
        threads: int = getattr(self, self.head).cpu_threads
        return threads


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


class ProbeSettings(HeadSettings, MethodSettings):
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

    def problems(self, settings: CommonSettings) -> list[Problem]:
        """Labels of videos that have one only."""
        if self.labels and settings.data.adapter not in WITH_LABELS:
            text = f"the videos of data.adapter {settings.data.adapter} have one label each: leave it empty"
            return [(("probes", "labels"), text)]
        return []
