"""Settings of the converters: from the features of the student to those that a teacher would have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from vidkd.config.problems import Location, Problem, Problems, nearest
from vidkd.config.training import FeatureTrainingSettings
from vidkd.config.variants import Experiment, each_once
from vidkd.methods.base import MethodSettings
from vidkd.methods.problems import network_problems, view_problems

if TYPE_CHECKING:
    from vidkd.config.settings import CommonSettings

LOSSES = ("l1", "l2", "cosine", "infonce", "vicreg", "barlow")
"""Terms that the objective may be a weighted sum of."""


class ConverterSettings(FeatureTrainingSettings):
    """One converter: its form, its objective, and how it is trained."""

    epochs: int = Field(
        20, ge=0, description="Passes over the training split; 0 leaves the converter random: the control."
    )
    batch_size: int = Field(64, ge=1, description="Clips in a batch.")
    clip_grad: float | None = Field(
        1, gt=0, description="Largest gradient norm; null leaves gradients alone."
    )
    kind: Literal["linear", "resampler", "perceiver"] = Field(
        "resampler",
        description="linear: each token by one matrix. resampler: convolutions over time. perceiver: a "
        "learnt query for each of the teacher's tokens attends to the student's.",
    )
    width: int = Field(256, ge=8, description="Width inside; linear has none.")
    layers: int = Field(2, ge=1, description="Layers inside; linear has none.")
    heads: int = Field(4, ge=1, description="Attention heads of perceiver.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout inside; linear has none.")
    loss: dict[str, float] = Field(
        {"l2": 1.0, "cosine": 1.0},
        description="Weight of each term of the objective: l1, l2, cosine, infonce, vicreg, barlow.",
    )
    temperature: float = Field(0.1, gt=0, description="Temperature of infonce.")
    vicreg: tuple[float, float, float] = Field(
        (25.0, 25.0, 1.0), description="Weights of invariance, variance and covariance in vicreg."
    )
    barlow_off_diagonal: float = Field(
        5e-3, ge=0, description="Weight of what is off the diagonal in barlow."
    )
    allow_missing: bool = Field(
        False,
        description="Leave out videos that the student's or a teacher's cache lacks, and say which; "
        "otherwise they are refused.",
    )

    @field_validator("loss")
    @classmethod
    def _terms(cls, loss: dict[str, float]) -> dict[str, float]:
        found: list[Problem] = [
            ((name,), f"no such term; {nearest(name, list(LOSSES))}") for name in loss if name not in LOSSES
        ]
        found += [
            ((name,), f"found {weight:g}; allowed: number, above 0")
            for name, weight in loss.items()
            if weight <= 0
        ]
        if not loss:
            found.append(((), "found {}; allowed: one term or more, such as {l2: 1}"))
        if found:
            raise Problems(found)
        return loss


class ConverterExperiment(Experiment, MethodSettings):
    """Converters from the features of one backbone to those of others; without `student` there are none."""

    base: ConverterSettings = Field(
        ConverterSettings(),  # type: ignore[call-arg]
        description="Recipe that every variant starts from.",
    )
    variants: dict[str, dict[str, object]] = Field(
        {
            "linear": {"kind": "linear", "lr": 0.01},
            "resampler": {},
            "perceiver": {"kind": "perceiver"},
            "random": {"epochs": 0},
        },
        description="Name of a variant and what it changes of base; each is trained for every teacher.",
    )
    student: str | None = Field(
        None, description="The backbone that runs at inference; null: no converters and no fusion."
    )
    teachers: tuple[str, ...] = Field(
        (), description="Backbones whose features are learnt from the student's."
    )

    _each_once = field_validator("teachers")(each_once)

    def problems(self, settings: CommonSettings) -> list[Problem]:
        """Students and teachers that are no backbones, or that are cached with several views."""
        if self.student is None:
            return []
        named: list[tuple[Location, str | None]] = [(("converters", "student"), self.student)]
        named += [(("converters", "teachers"), name) for name in self.teachers]
        found = network_problems(settings, named)
        if not self.teachers:
            found.append((("converters", "teachers"), "found []; allowed: one backbone or more"))
        if self.student in self.teachers:
            found.append((("converters", "teachers"), f"{self.student} is the student: leave it out"))
        names = dict.fromkeys(name for _, name in named)
        return found + view_problems(settings, "converters take", names)
