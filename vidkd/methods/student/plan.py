"""Students of one frozen teacher: runs, and what each step of them reads."""

from __future__ import annotations

from typing import Any, ClassVar

from vidkd.config.base import Section
from vidkd.methods.base import Figure, Method, MethodSettings, Table, Teacher
from vidkd.methods.needs import Needs
from vidkd.methods.student.settings import TEACHER, StudentExperiment, StudentSettings

_ATTENTION = (
    "Frames of the first test video of up to six classes, and the weight that temporal pooling gives to each."
)


class Student(Method):
    """Variants of a small network that learn from labels and from CLIP."""

    NAME: ClassVar[str] = "student"
    TITLE: ClassVar[str] = "Student"
    SECTION: ClassVar[type[MethodSettings]] = StudentExperiment
    RECIPE: ClassVar[type[Section]] = StudentSettings
    ABSENT: ClassVar[str] = "set `student.teacher.backbone`"
    TABLES: ClassVar[tuple[str, ...]] = ("student", "teachers")
    REPORTED: ClassVar[tuple[str, ...]] = ("student", "teachers")
    EVALUATE: ClassVar[str] = "table:figures"
    MEASURE: ClassVar[str] = "predict:parts"
    EXPORT: ClassVar[str] = "export:export"
    SHARED: ClassVar[bool] = True

    own: StudentExperiment

    def trained(self) -> list[str]:
        """Every variant, where there is a teacher."""
        return list(self.own.variants) if self.own.teacher.backbone else []

    def work(self, run: str) -> int:
        """Frames that a training sees of a video."""
        variant: StudentSettings = self.settings_of(run)
        return variant.epochs * variant.frames

    @property
    def label(self) -> str | None:
        """The label that students learn."""
        return self.own.label or self.plan.settings.data.own_label if self.own.teacher.backbone else None

    @property
    def listed_labels(self) -> list[str]:
        """And those that the teacher is measured for beside it."""
        return list(dict.fromkeys([self.label, *self.own.also_judged])) if self.label else []

    def _listed(self, label: str | None) -> dict[str, Any]:
        return {**self.plan.label(label), "marked_only": self.own.labels == "marked"}

    def teachers(self) -> dict[str, Teacher]:
        """The CLIP, for each label."""
        name = self.own.teacher.backbone
        if name is None:
            return {}
        features = {name: self.plan.features(name, "train", "val", "test")}
        found = {}
        for label in self.listed_labels:
            words = self.own.teacher.class_names if label == self.label else {}
            settings = {
                **self.own.teacher.model_dump(mode="json", exclude={"backbone"}),
                "class_names": words,
            }
            needs = Needs(
                features=features, networks={TEACHER: self.plan.network(name)}, **self._listed(label)
            )
            found[f"{name}.{label}"] = Teacher(backbone=name, settings=settings, needs=needs)
        return found

    def head(self, artefact: str, label: str | None = None) -> str:
        """An artefact of the teacher's head, of the label that students learn unless told."""
        name = f"{self.own.teacher.backbone}.{label or self.label}"
        path: str = getattr(self.plan.paths.teacher(self.NAME, name), artefact)
        return path

    def train_needs(self, run: str, seed: int | str) -> Needs:
        """Frames, the label, the network to start from, and the teacher where a term needs it."""
        variant, plan = self.settings_of(run), self.plan
        networks = {"start": plan.network(variant.backbone)} if variant.backbone else {}
        features, name = {}, str(self.own.teacher.backbone)
        if variant.taught:
            networks[TEACHER] = plan.network(name, self.head("weights"))
            splits = ("train", "val") if variant.teacher_view == "cached" else ("val",)
            features[name] = plan.features(name, *splits)
        return Needs(
            frames=plan.frames("train", "val"),
            features=features,
            networks=networks,
            **self._listed(self.label),
        )

    def predict_needs(self, run: str, seed: int | str) -> Needs:
        """Frames, the label, the student, and the teacher's features with their head."""
        name = str(self.own.teacher.backbone)
        return Needs(
            frames=self.plan.frames("test"), features={name: self.plan.features(name, "test")},
            weights={"student": (self.of_run(run, seed).weights,), "head": (self.head("weights"),)},
            **self.plan.label(self.label),
        )  # fmt: skip

    def measure_needs(self) -> Needs:
        """Every variant with the first seed, and the teacher."""
        teacher = self.plan.network(str(self.own.teacher.backbone), self.head("weights"))
        return Needs(weights=self.first_weights(), networks={TEACHER: teacher})

    @property
    def exports(self) -> bool:
        """Whether a variant is named."""
        return self.active and self.own.export is not None

    def tables(self) -> dict[str, Table]:
        """Students beside their baseline and their teacher, and the teacher's heads."""
        results = {name: self.every(name) for name in ("metrics", "predictions")}
        results |= {
            "teacher": (self.head("metrics"),),
            "latency": (self.plan.paths.latency(self.NAME),),
        }
        heads = tuple(self.head("metrics", label) for label in self.listed_labels)
        module = "vidkd.methods.student.table"
        return {
            "student": Table(
                path=self.table_path("student"), make=f"{module}:tabulate", needs=Needs(results=results),
                settings={"baseline": self.own.baseline},
            ),
            "teachers": Table(
                path=self.table_path("teachers"), make=f"{module}:tabulate_teachers",
                needs=Needs(results={"metrics": heads}),
            ),
        }  # fmt: skip

    def figures(self) -> dict[str, Figure]:
        """What temporal pooling attends to."""
        shown = self.of_run(self.shown_run(), self.plan.seeds[0])
        results = {"predictions": (shown.predictions,), "config": (shown.config,)}
        needs = Needs(frames=self.plan.frames("test"), results=results)
        draw = "vidkd.methods.student.figures:draw_attention"
        return {"attention_student": Figure(draw=draw, needs=needs, caption=_ATTENTION)}

    def shown_run(self) -> str:
        """The exported one, else the baseline."""
        return self.own.export or self.own.baseline

    def confused(self) -> dict[str, str]:
        """The teacher's, then each variant's."""
        return {TEACHER: self.head("predictions")} | self.first("predictions")
