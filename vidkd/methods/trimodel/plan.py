"""Students of a teacher and an assistant: runs, and what each step of them reads."""

from __future__ import annotations

from typing import Any, ClassVar

from vidkd.backbones.registry import module_of
from vidkd.config.base import Section
from vidkd.config.data import SPLITS
from vidkd.methods.base import Method, MethodSettings, Table, Teacher
from vidkd.methods.needs import Needs
from vidkd.methods.trimodel.settings import ASSISTANT, TEACHER, TriModelExperiment, TriModelSettings


class TriModel(Method):
    """Variants of a VideoMAE that learn from labels, a teacher and an assistant."""

    NAME: ClassVar[str] = "trimodel"
    TITLE: ClassVar[str] = "Tri-model"
    SECTION: ClassVar[type[MethodSettings]] = TriModelExperiment
    RECIPE: ClassVar[type[Section]] = TriModelSettings
    ABSENT: ClassVar[str] = "set `trimodel.teacher` and `trimodel.assistant`"
    TABLES: ClassVar[tuple[str, ...]] = ("trimodel", "networks", "per_class")
    REPORTED: ClassVar[tuple[str, ...]] = ("trimodel", "networks")
    EVALUATE: ClassVar[str] = "table:figures"
    EXPORT: ClassVar[str] = "predict:export"
    MEASURE: ClassVar[str] = "predict:parts"
    SHARED: ClassVar[bool] = True

    own: TriModelExperiment

    def trained(self) -> list[str]:
        """Every variant, where there is a teacher."""
        return list(self.own.variants) if self.own.teacher else []

    @classmethod
    def modules_of(cls, settings: TriModelSettings) -> list[str]:
        """The module of the networks' kind."""
        return [module_of("videomae")]

    def work(self, run: str) -> int:
        """Networks that see each clip, in all epochs."""
        variant: TriModelSettings = self.settings_of(run)
        return variant.epochs * (1 + len(variant.sources))

    @property
    def label(self) -> str | None:
        """The label that students learn."""
        return self.own.label or self.plan.settings.data.own_label if self.own.teacher else None

    @property
    def roles(self) -> dict[str, str]:
        """The networks that may teach, by role."""
        roles = {TEACHER: self.own.teacher, ASSISTANT: self.own.assistant}
        return {role: name for role, name in roles.items() if name}

    @property
    def _listed(self) -> dict[str, Any]:
        return {**self.plan.label(self.label), "marked_only": self.own.labels == "marked"}

    def teachers(self) -> dict[str, Teacher]:
        """Both networks, each with a linear head."""
        settings = {**self.own.gate.model_dump(mode="json"), "head": "probe"}
        return {
            f"{name}.{self.label}": Teacher(
                backbone=name, settings=settings,
                needs=Needs(features={name: self.plan.features(name, *SPLITS)}, **self._listed),
            )
            for name in self.roles.values()
        }  # fmt: skip

    def heads(self, artefact: str) -> dict[str, str]:
        """An artefact of the head of each network, by role."""
        return {
            role: getattr(self.plan.paths.teacher(self.NAME, f"{name}.{self.label}"), artefact)
            for role, name in self.roles.items()
        }

    def train_needs(self, run: str, seed: int | str) -> Needs:
        """Frames, the label, the network to start from, and those that teach."""
        variant, plan = self.settings_of(run), self.plan
        networks = {"start": plan.network(variant.backbone)} if variant.backbone else {}
        heads = self.heads("weights")
        networks |= {role: plan.network(self.roles[role], heads[role]) for role in variant.sources}
        return Needs(frames=plan.frames("train", "val"), networks=networks, **self._listed)

    def predict_needs(self, run: str, seed: int | str) -> Needs:
        """Frames, the label, the student, and what teacher and assistant say of the same videos."""
        heads = self.heads("predictions")
        return Needs(
            frames=self.plan.frames("test"),
            weights={"student": (self.of_run(run, seed).weights,)},
            results={role: (file,) for role, file in heads.items()},
            **self.plan.label(self.label),
        )

    def measure_needs(self) -> Needs:
        """Every variant with the first seed, and both networks."""
        heads = self.heads("weights")
        networks = {role: self.plan.network(name, heads[role]) for role, name in self.roles.items()}
        return Needs(weights=self.first_weights(), networks=networks)

    @property
    def exports(self) -> bool:
        """Wherever there are runs."""
        return self.active

    def evaluation(self) -> dict[str, Any]:
        """The class of what is nothing special."""
        return {"normal": self.own.normal}

    def tables(self) -> dict[str, Table]:
        """Students beside their baseline and both networks, each class, and both networks' gates."""
        results = {name: self.every(name) for name in ("metrics", "predictions")}
        metrics, predictions = self.heads("metrics"), self.heads("predictions")
        results |= {role: (metrics[role], predictions[role]) for role in self.roles}
        heads = Needs(results={role: (file,) for role, file in metrics.items()})
        results["latency"] = (self.plan.paths.latency(self.NAME),)
        needs = Needs(results=results, classes=self.classes)
        settings = {"baseline": self.own.baseline, "normal": self.own.normal}
        module = "vidkd.methods.trimodel.table"
        return {
            "trimodel": Table(
                path=self.table_path("trimodel"), make=f"{module}:tabulate", needs=needs, settings=settings
            ),
            "networks": Table(
                path=self.table_path("networks"), make=f"{module}:tabulate_networks", needs=heads
            ),
            "trimodel_classes": Table(
                path=self.table_path("per_class"),
                make=f"{module}:tabulate_classes",
                needs=needs,
                settings=settings,
            ),
        }

    def shown_run(self) -> str:
        """The first that both networks teach, else the first."""
        names = self.trained()
        return next((name for name in names if len(self.settings_of(name).sources) > 1), names[0])

    def confused(self) -> dict[str, str]:
        """Both networks', then each variant's."""
        return self.heads("predictions") | self.first("predictions")
