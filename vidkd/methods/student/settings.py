"""Settings of the student that a CLIP teacher trains, and of the teacher's head (seeds 000 and 001)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from vidkd.config.clips import ClipSettings
from vidkd.config.problems import Location, Problem, Problems
from vidkd.config.teacher import TeacherSettings
from vidkd.config.training import TrainingSettings
from vidkd.config.variants import Experiment
from vidkd.methods.base import MethodSettings
from vidkd.methods.problems import label_problems, network_problems, start_problems, view_problems

if TYPE_CHECKING:
    from vidkd.config.settings import CommonSettings

TEACHER = "teacher"
"""The row of the teacher in the tables of students."""


class StudentTeacherSettings(TeacherSettings):
    """The teacher of students, with the head that is made for it and the gate that it has to pass."""

    backbone: str | None = Field(
        None,
        description="The teacher: a network of `backbones` of the kind clip; null: no student is trained.",
    )


class StudentSettings(ClipSettings, TrainingSettings):
    """One student: its network, what it learns from the teacher, and how it is trained."""

    epochs: int = Field(30, ge=1, description="Passes over the training split.")
    optimizer: Literal["sgd", "adamw"] = Field("adamw", description="sgd (momentum) or adamw.")
    lr: float = Field(1e-4, gt=0, description="Peak learning rate.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay.")
    clip_grad: float | None = Field(
        1.0, gt=0, description="Largest gradient norm; null leaves gradients alone."
    )
    size: int = Field(
        0, ge=0, description="Height and width of a clip in pixels; 0: those of the network (MobileViT: 256)."
    )
    frames: int = Field(8, ge=1, description="Frames of a clip.")
    backbone: str | None = Field(
        None,
        description="Start: a network of `backbones` of the kind timm, with its weights and preprocessing; "
        "null: arch, with random weights.",
    )
    arch: str = Field("mobilevit_xxs", description="Model of timm, where backbone is null.")
    projection: bool = Field(True, description="Frame features are projected to `width`.")
    width: int = Field(
        512,
        ge=1,
        description="Width of projected features: that of the teacher's (ViT-B/32: 512) where features are "
        "compared.",
    )
    pooling: Literal["attention", "cls", "mean"] = Field(
        "attention",
        description="How frames become a video. attention: the sum weighted by a learnt score of each "
        "(seed 000). cls: a learnt query attends to them. mean: their mean.",
    )
    positions: bool = Field(
        False, description="A learnt vector for each place in the clip is added to frames before pooling."
    )
    heads: int = Field(4, ge=1, description="Attention heads of cls.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout before the classifier.")
    alpha: float = Field(0.5, ge=0, description="Weight of the feature term.")
    beta: float = Field(1.0, ge=0, description="Weight of the response term.")
    gamma: float = Field(0.1, ge=0, description="Weight of the task term: cross-entropy with the label.")
    hint: float = Field(0.0, ge=0, description="Weight of the feature term on each frame.")
    temperature: float = Field(3.0, gt=0, description="Temperature of the response term.")
    feature: Literal["mse", "cosine"] = Field(
        "mse",
        description="mse: mean squared error of unit vectors (seed 000), which is 2 (1 - cos) over their "
        "width: 0.004 of unrelated ones of 512. cosine: summed over the width, 2 (1 - cos).",
    )
    response: Literal["kd", "dkd", "dist"] = Field(
        "kd",
        description="kd: KL of softened classes (Hinton 2015). dkd: target and other classes apart (Zhao "
        "2022), for clips with a label; the others have kd. dist: correlation within clips and within "
        "classes (Huang 2022).",
    )
    logit_standardisation: bool = Field(
        False, description="Logits have mean 0 and deviation 1 before the response term (Sun 2024)."
    )
    dkd_weights: tuple[float, float] = Field(
        (1.0, 8.0), description="Of the target class and of the other classes, in dkd."
    )
    dist_weights: tuple[float, float] = Field(
        (1.0, 1.0), description="Of the correlation within clips and within classes, in dist."
    )
    teacher_view: Literal["online", "cached"] = Field(
        "online",
        description="online: the teacher sees the very clip that the student sees, augmented. cached: its "
        "cached features of the video, of the middle of its frames.",
    )
    unlabelled: Literal["distil", "drop"] = Field(
        "distil",
        description="Training clips without a label: learn from the teacher alone, or are left out.",
    )
    all_labels: bool = Field(
        False, description="Every label that there is may be used, whatever student.labels says."
    )

    @property
    def taught(self) -> bool:
        """Whether any term needs the teacher."""
        return bool(self.alpha or self.beta or self.hint)

    @model_validator(mode="after")
    def _learns(self) -> StudentSettings:
        found: list[Problem] = []
        if 0 < self.size < 16:
            found.append((("size",), f"found {self.size}; allowed: 0, or whole number from 16"))
        if not (self.beta or self.gamma):
            text = "beta and gamma are 0, and nothing would teach the classifier: set gamma or beta above 0"
            found.append((("gamma",), text))
        if self.taught and self.teacher_view == "cached" and self.flip == "swap":
            text = "cached features are of videos that are not mirrored: use plain or none, or online"
            found.append((("flip",), text))
        if found:
            raise Problems(found)
        return self


class StudentExperiment(Experiment, MethodSettings):
    """Students of one CLIP teacher: a base recipe, and variants that each change a few of its settings."""

    RESERVED: ClassVar[dict[str, str]] = {
        TEACHER: "teacher is the row of the teacher",
        "export": "export is the folder of the exported student",
    }
    NAMING: ClassVar[tuple[str, ...]] = ("baseline", "export")

    teacher: StudentTeacherSettings = StudentTeacherSettings()  # type: ignore[call-arg]
    label: str | None = Field(
        None,
        description="The label that is learnt, where videos carry several (demo: motion, shape, texture, "
        "colour); null: the data set's own.",
    )
    labels: Literal["all", "marked"] = Field(
        "all",
        description="Training labels that may be used, by the teacher's probe as well: all, or those that "
        "the data set marks as labelled (demo.low_label, data.labelled).",
    )
    also_judged: tuple[str, ...] = Field(
        (), description="Further labels that the teacher is measured for and judged by its gate."
    )
    base: StudentSettings = Field(
        StudentSettings(),  # type: ignore[call-arg]
        description="Recipe that every variant starts from.",
    )
    variants: dict[str, dict[str, object]] = Field(
        {
            "ce": {"alpha": 0, "beta": 0, "gamma": 1.0},
            "distilled": {},
            "mean": {"pooling": "mean"},
        },
        description="Name of a variant and what it changes of base.",
    )
    baseline: str = Field("ce", description="The variant that every other is compared with.")
    export: str | None = Field(
        "distilled",
        description="The variant that is exported to ONNX with all that it needs to predict videos, with the "
        "first of `seeds`; null: none.",
    )

    def problems(self, settings: CommonSettings) -> list[Problem]:
        """Networks that are none or of another kind, labels that the videos do not have, too many frames."""
        teacher = self.teacher.backbone
        if teacher is None:
            return []
        found = start_problems(settings, "student", self, "timm")
        found += network_problems(settings, [(("student", "teacher", "backbone"), teacher)], "clip")
        found += view_problems(settings, "a teacher takes", [teacher])
        labels: list[tuple[Location, str | None]] = [
            (("student", "also_judged"), name) for name in self.also_judged
        ]
        return found + label_problems(settings, [*labels, (("student", "label"), self.label)])
