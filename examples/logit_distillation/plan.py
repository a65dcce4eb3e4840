"""Logit distillation: runs, and what each step of them reads."""

from __future__ import annotations

from typing import ClassVar

from vidkd.config.base import Section
from vidkd.config.data import SPLITS
from vidkd.methods.base import Method, MethodSettings, Table, Teacher
from vidkd.methods.logits.settings import LogitExperiment, LogitSettings
from vidkd.methods.needs import Needs
from vidkd.paths import RunPaths


class Logits(Method):
    """Variants of a TSM that learn from labels and from the logits of a frozen network."""

    NAME: ClassVar[str] = "logits"
    TITLE: ClassVar[str] = "Logit distillation"
    SECTION: ClassVar[type[MethodSettings]] = LogitExperiment
    RECIPE: ClassVar[type[Section]] = LogitSettings
    ABSENT: ClassVar[str] = "set `logits.teacher.backbone`"
    TABLES: ClassVar[tuple[str, ...]] = ("logits",)
    REPORTED: ClassVar[tuple[str, ...]] = ("logits",)
    PREDICT: ClassVar[str] = "train:predict"
    SHARED: ClassVar[bool] = True

    own: LogitExperiment

    def trained(self) -> list[str]:
        """Every variant, where there is a teacher."""
        return list(self.own.variants) if self.own.teacher.backbone else []

    def teachers(self) -> dict[str, Teacher]:
        """The frozen network, with a linear head for the data set's own label."""
        name = self.own.teacher.backbone
        if name is None:
            return {}
        settings = {**self.own.teacher.model_dump(mode="json", exclude={"backbone"}), "head": "probe"}
        needs = Needs(features={name: self.plan.features(name, *SPLITS)}, **self.plan.label(None))
        return {name: Teacher(backbone=name, settings=settings, needs=needs)}

    @property
    def _head(self) -> RunPaths:
        return self.plan.paths.teacher(self.NAME, str(self.own.teacher.backbone))

    def train_needs(self, run: str, seed: int | str) -> Needs:
        """Frames, and the teacher's head and features where it teaches."""
        name, taught = str(self.own.teacher.backbone), self.settings_of(run).alpha < 1
        return Needs(
            frames=self.plan.frames("train", "val"),
            features={name: self.plan.features(name, "train")} if taught else {},
            weights={"head": (self._head.weights,)} if taught else {},
            **self.plan.label(None),
        )

    def predict_needs(self, run: str, seed: int | str) -> Needs:
        """Frames, and the student."""
        return Needs(frames=self.plan.frames("test"), weights={"student": (self.of_run(run, seed).weights,)})

    @property
    def baseline(self) -> str | None:
        """The first variant that no teacher teaches."""
        return next((run for run in self.trained() if self.settings_of(run).alpha == 1), None)

    def tables(self) -> dict[str, Table]:
        """Students, and their teacher."""
        needs = Needs(results={"metrics": self.every("metrics"), "teacher": (self._head.metrics,)})
        make = "vidkd.methods.logits.report:tabulate"
        return {"logits": Table(path=self.table_path("logits"), make=make, needs=needs)}
