"""Fusion heads: runs, and what each step of them reads."""

from __future__ import annotations

from typing import ClassVar

from vidkd.config.base import Section
from vidkd.methods.base import Figure, Method, MethodSettings, Table
from vidkd.methods.fusion.settings import FusionExperiment, FusionSettings
from vidkd.methods.needs import Needs, Store

_GAINS = (
    "What each fusion head gains over the baseline, the vertical line, in points of top-1 accuracy on "
    "the test split, with a 95% interval over the clips (paired bootstrap). A filled dot differs from "
    "the baseline by a paired permutation test with Holm's correction (p below 0.05), an open one "
    "does not. The figures at the right are accuracies. Heads on the features that the teachers "
    "themselves compute (real) are what converters could reach at best. The test knows other clips, "
    "not other seeds."
)


class Fusion(Method):
    """Heads over the features of the converters' student and its converted ones."""

    NAME: ClassVar[str] = "fusion"
    TITLE: ClassVar[str] = "Fusion"
    SECTION: ClassVar[type[MethodSettings]] = FusionExperiment
    RECIPE: ClassVar[type[Section]] = FusionSettings
    ABSENT: ClassVar[str] = "set `converters.student` and `converters.teachers`"
    TABLES: ClassVar[tuple[str, ...]] = ("fusion", "modes")
    REPORTED: ClassVar[tuple[str, ...]] = ("fusion", "modes")
    EXPORTED: ClassVar[str] = "bundle"
    EVALUATE: ClassVar[str] = "table:figures"
    MEASURE: ClassVar[str] = "latency:parts"
    EXPORT: ClassVar[str] = "export:export"
    BY_HAND: ClassVar[str] = "by_hand:seed_options"
    CLASHING: ClassVar[frozenset[str]] = frozenset({"student", "teachers"})

    own: FusionExperiment

    @property
    def student(self) -> str | None:
        """The network whose features every head sees."""
        name: str | None = self.plan.settings.methods["converters"].student
        return name

    def trained(self) -> list[str]:
        """Every variant, where there is a student."""
        return list(self.own.variants) if self.student else []

    def settings_of(self, run: str) -> FusionSettings:
        """The complete settings of a variant, with the names of its teachers."""
        variant: FusionSettings = self.own.variant(run)
        if variant.teachers is not None:
            return variant
        return variant.model_copy(update={"teachers": self.plan.settings.methods["converters"].teachers})

    def features(self, head: FusionSettings, seed: int | str, *splits: str) -> dict[str, dict[str, Store]]:
        """The caches that a head sees, real or converted, the student's first: none if it is no input."""
        student = str(self.student)
        seen = head.student or head.finetune_converters
        found = {student: self.plan.features(student, *splits) if seen else {}}
        for name in () if head.finetune_converters else head.teachers or ():
            if head.features == "real":
                found[name] = self.plan.features(name, *splits)
            else:
                run = f"{head.converter}.{name}"
                found[name] = {s: self.plan.paths.converted("converters", run, seed, s) for s in splits}
        return found

    def converters(self, head: FusionSettings, seed: int | str) -> dict[str, tuple[str, ...]]:
        """Weights of the converter of each teacher of a head."""
        return {
            name: (self.plan.run("converters", f"{head.converter}.{name}", seed).weights,)
            for name in head.teachers or ()
        }

    def train_needs(self, run: str, seed: int | str) -> Needs:
        """Caches to learn from and to choose by, and converters that are trained on with the head."""
        head = self.settings_of(run)
        tuned = self.converters(head, seed) if head.finetune_converters else {}
        return Needs(features=self.features(head, seed, "train", "val"), classes=self.classes, weights=tuned)

    def predict_needs(self, run: str, seed: int | str) -> Needs:
        """The head, and caches of the test split."""
        features = self.features(self.settings_of(run), seed, "test")
        return Needs(features=features, weights={"head": (self.of_run(run, seed).weights,)})

    @property
    def measured(self) -> bool:
        """Where a head is exported."""
        return self.exports

    @property
    def exports(self) -> bool:
        """Whether a variant is named."""
        return self.active and self.own.bundle is not None

    def measure_needs(self) -> Needs:
        """The exported head, and the teachers that it does without."""
        names = self.plan.settings.methods["converters"].teachers
        networks = {name: self.plan.network(name) for name in names}
        return Needs(results={"bundle": (self.exported,)}, networks=networks)

    def _modes_needs(self) -> Needs:
        """The exported head, what it was exported from, and test videos as frames and as features."""
        needs = self.predict_needs(str(self.own.bundle), self.plan.seeds[0])
        more = {"frames": self.plan.frames("test"), "results": {"bundle": (self.exported,)}}
        return needs.model_copy(update=more)

    def export_needs(self) -> Needs:
        """A head, its frozen converters, and the student."""
        run, seed = str(self.own.bundle), self.plan.seeds[0]
        head = self.settings_of(run)
        frozen = {} if head.finetune_converters else self.converters(head, seed)
        weights = {"head": (self.of_run(run, seed).weights,), **frozen}
        return Needs(weights=weights, networks={"student": self.plan.network(str(self.student))})

    def tables(self) -> dict[str, Table]:
        """What each input gains over the baseline."""
        results = {"metrics": self.every("metrics"), "predictions": self.every("predictions")}
        make, settings = "vidkd.methods.fusion.table:tabulate", {"baseline": self.own.baseline}
        path, needs = self.table_path("fusion"), Needs(results=results)
        found = {"fusion": Table(path=path, make=make, needs=needs, settings=settings)}
        if self.exports:
            modes = "vidkd.methods.fusion.modes:compare_modes"
            found["modes"] = Table(
                path=self.table_path("modes"),
                make=modes,
                needs=self._modes_needs(),
                network=str(self.student),
            )
        return found

    def figures(self) -> dict[str, Figure]:
        """Gains with their intervals."""
        needs = Needs(results={"table": (self.table_path("fusion"),)})
        return {
            "fusion": Figure(draw="vidkd.methods.fusion.figures:draw_fusion", needs=needs, caption=_GAINS)
        }

    def shown_run(self) -> str:
        """The exported one, else the last."""
        return self.own.bundle or self.trained()[-1]
