"""Settings of the heads that are fitted on cached features: the baselines of a frozen network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_serializer

from vidkd.config.base import Section
from vidkd.config.data import WITH_LABELS
from vidkd.config.problems import Problem, Problems
from vidkd.config.teacher import LinearSettings
from vidkd.config.training import FeatureTrainingSettings
from vidkd.config.variants import each_once, wrong_names
from vidkd.methods.base import MethodSettings

if TYPE_CHECKING:
    from vidkd.config.settings import CommonSettings

Head = Literal["linear", "attentive"]

HEADS = {
    "linear": "vidkd.methods.probes.linear:fit",
    "attentive": "vidkd.methods.probes.train:fit",
}
"""What fits each head: `Job` and `ProbeRows` in, `Fitted` out. No import statement mentions it."""


class AttentiveSettings(FeatureTrainingSettings):
    """A learnt query that attends to the tokens of a video, a small MLP and a classifier."""

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

    _each_once = field_validator("heads", "labels")(each_once)

    @field_validator("labels")
    @classmethod
    def _folder_names(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if found := wrong_names(labels, {}):
            raise Problems(found)
        return labels

    def problems(self, settings: CommonSettings) -> list[Problem]:
        """Labels of videos that have one only."""
        if self.labels and settings.data.adapter not in WITH_LABELS:
            text = f"the videos of data.adapter {settings.data.adapter} have one label each: leave it empty"
            return [(("probes", "labels"), text)]
        return []
