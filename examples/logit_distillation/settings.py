"""Settings of logit distillation: a TSM that learns from labels and from the logits of a frozen network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from vidkd.config.clips import NormalisedClipSettings
from vidkd.config.problems import Problem
from vidkd.config.teacher import GateSettings
from vidkd.config.training import TrainingSettings
from vidkd.config.variants import Experiment
from vidkd.methods.base import MethodSettings
from vidkd.methods.ffn.settings import Arch, FFNSettings
from vidkd.methods.problems import frame_problems, network_problems, view_problems

if TYPE_CHECKING:
    from vidkd.config.settings import CommonSettings

TSM = {
    "weights": None, "init_from": None, "specialised_norm": True, "weight_alteration": False, "sharing": True,
    "shift": "clip", "objective": "cross_entropy", "lambda_kl": 0.0, "sampling": "all", "select": "largest",
    "param_groups": "seed",
}  # fmt: skip
"""What makes a TSM of an FFN."""


class LogitSettings(NormalisedClipSettings, TrainingSettings):
    """One student: its network, what it learns from, and how it is trained."""

    arch: Arch = Field("resnet18", description="The student, with random weights.")
    frames: int = Field(8, ge=1, description="Frames of a clip.")
    shift_fraction: float = Field(0.125, ge=0, le=0.5, description="Share of the channels shifted each way.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Dropout before the classifier.")
    alpha: float = Field(0.5, ge=0, le=1, description="Weight of the label; 1 - alpha is the teacher's.")
    temperature: float = Field(4.0, gt=0, description="Temperature of both networks' logits.")

    @model_validator(mode="after")
    def _same_view(self) -> LogitSettings:
        if self.flip == "swap" and self.alpha < 1:
            raise ValueError("flip: the teacher's cached features are not mirrored: use plain or none")
        return self

    def network(self) -> FFNSettings:
        """The student's settings as those of an FFN of one frame count, which builds it."""
        given = self.model_dump(exclude={"frames", "alpha", "temperature"})
        return FFNSettings.model_validate({**given, **TSM, "frame_counts": (self.frames,)})


class LogitTeacherSettings(GateSettings):
    """The frozen network, the linear head that is made for it, and the gate that it has to pass."""

    backbone: str | None = Field(None, description="A network of `backbones`; null: no student is trained.")


class LogitExperiment(Experiment, MethodSettings):
    """Students of one frozen network: a base recipe, and variants that each change a few of its settings."""

    teacher: LogitTeacherSettings = LogitTeacherSettings()  # type: ignore[call-arg]
    base: LogitSettings = Field(LogitSettings(), description="Recipe that every variant starts from.")  # type: ignore[call-arg]
    variants: dict[str, dict[str, object]] = Field(
        {"ce": {"alpha": 1.0}, "distilled": {}}, description="Name of a variant and what it changes of base."
    )

    def problems(self, settings: CommonSettings) -> list[Problem]:
        """A teacher that is no network or has several views, more frames than are kept."""
        teacher = self.teacher.backbone
        if teacher is None:
            return []
        found = network_problems(settings, [(("logits", "teacher", "backbone"), teacher)])
        found += view_problems(settings, "a teacher takes", [teacher])
        return found + frame_problems(settings, "logits", self)
