"""Converters: runs, and what each step of them reads."""

from __future__ import annotations

from itertools import product
from typing import ClassVar

from vidkd.config.base import Section
from vidkd.config.data import SPLITS
from vidkd.methods.base import Figure, Method, MethodSettings, Table
from vidkd.methods.converters.settings import ConverterExperiment, ConverterSettings
from vidkd.methods.needs import Needs, Store

_SIMILARITY = (
    "How alike the mean features of test videos are: unbiased linear CKA between the student, its "
    "teachers, and what each converter with the first seed makes of the student's features; 1 for a "
    "rotated and scaled copy, 0 for independent ones."
)

_QUALITY = (
    "How near the converted features of each teacher are to its own, on the test split: the share of "
    "their variance over clips that is explained (R², left) and the mean cosine of a token (right), "
    "mean over seeds. The black lines are what the teacher's mean training feature has, said of every "
    "clip: a converter that tells clips apart is right of them."
)


class Converters(Method):
    """A converter of each variant to each teacher; a run is called `VARIANT.TEACHER`."""

    NAME: ClassVar[str] = "converters"
    TITLE: ClassVar[str] = "Converters"
    SECTION: ClassVar[type[MethodSettings]] = ConverterExperiment
    RECIPE: ClassVar[type[Section]] = ConverterSettings
    ABSENT: ClassVar[str] = "set `converters.student` and `converters.teachers`"
    TABLES: ClassVar[tuple[str, ...]] = ("quality", "similarity")
    REPORTED: ClassVar[tuple[str, ...]] = ("converters",)
    PREDICT: ClassVar[str] = ""
    CONVERT: ClassVar[str] = "convert:convert"
    EVALUATE: ClassVar[str] = "evaluate:evaluate"
    CLASSIFIES: ClassVar[bool] = False
    COMPARED: ClassVar[bool] = False

    own: ConverterExperiment

    def trained(self) -> list[str]:
        """Every variant for every teacher, where there is a student."""
        if self.own.student is None:
            return []
        return [".".join(names) for names in product(self.own.variants, self.own.teachers)]

    def settings_of(self, run: str) -> ConverterSettings:
        """The complete settings of the variant."""
        variant: ConverterSettings = self.own.variant(run.split(".")[0])
        return variant

    def _features(self, run: str, *splits: str) -> dict[str, dict[str, Store]]:
        teacher = run.split(".")[1]
        return {name: self.plan.features(name, *splits) for name in (str(self.own.student), teacher)}

    def train_needs(self, run: str, seed: int | str) -> Needs:
        """Features of the student, then of the teacher."""
        return Needs(features=self._features(run, "train", "val"))

    def convert_needs(self, run: str, seed: int | str) -> Needs:
        """The converter, and what it converts: the student's features."""
        student = str(self.own.student)
        features = {student: self.plan.features(student, *SPLITS)}
        return Needs(features=features, weights={"converter": (self.of_run(run, seed).weights,)})

    def evaluate_needs(self, run: str, seed: int | str) -> Needs:
        """What its features are compared with: the teacher's, by a head that was fitted on these."""
        student, teacher = self._features(run, "val", "test").items()
        label = self.plan.settings.data.own_label
        probe = self.plan.paths.run("probes", f"{teacher[0]}.linear.{label}", self.plan.seeds[0]).weights
        weights: dict[str, tuple[str, ...]]
        weights = {"converter": (self.of_run(run, seed).weights,), "probe": (probe,)}
        real = self.plan.features(teacher[0], *SPLITS)
        return Needs(features={student[0]: student[1], teacher[0]: real}, weights=weights)

    def tables(self) -> dict[str, Table]:
        """How near converted features are to the teacher's."""
        needs = Needs(results={"metrics": self.every("metrics")})
        make = "vidkd.methods.converters.table:tabulate"
        names = (str(self.own.student), *self.own.teachers)
        features = {name: self.plan.features(name, "test") for name in names}
        alike = Needs(features=features, weights=self.first_weights())
        compare = "vidkd.methods.converters.similarity:compare_features"
        return {
            "converters": Table(path=self.table_path("quality"), make=make, needs=needs),
            "similarity": Table(
                path=self.table_path("similarity"), make=compare, needs=alike, network=str(self.own.student)
            ),
        }

    def figures(self) -> dict[str, Figure]:
        """Quality, and how alike all features are."""
        drawn = {"converters": ("quality", _QUALITY), "similarity": ("similarity", _SIMILARITY)}
        return {
            name: Figure(
                draw=f"vidkd.methods.converters.figures:draw_{table}",
                needs=Needs(results={"table": (self.table_path(table),)}),
                caption=caption,
            )
            for name, (table, caption) in drawn.items()
        }

    def shown_run(self) -> str:
        """None shows mistakes: it predicts features."""
        raise NotImplementedError
