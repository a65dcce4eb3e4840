"""Heads on cached features: runs, and what each step of them reads."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, ClassVar

from vidkd import lazy
from vidkd.config.base import Section
from vidkd.config.data import SPLITS
from vidkd.methods.base import Method, MethodSettings, Table
from vidkd.methods.needs import Needs
from vidkd.methods.probes.settings import HEADS, ProbeRun, ProbeSettings


class Probes(Method):
    """A head for each network, kind of head and label; a run is called `BACKBONE.HEAD.LABEL`."""

    NAME: ClassVar[str] = "probes"
    TITLE: ClassVar[str] = "Probes"
    SECTION: ClassVar[type[MethodSettings]] = ProbeSettings
    TRAIN: ClassVar[str] = "fit:fit_probe"
    EVALUATE: ClassVar[str] = "table:figures"
    CURVES: ClassVar[bool] = False
    COMPARED: ClassVar[bool] = False
    RECIPE: ClassVar[type[Section]] = ProbeRun
    ABSENT: ClassVar[str] = "it needs `backbones` and `probes.heads`"
    TABLES: ClassVar[tuple[str, ...]] = ("probes",)
    REPORTED: ClassVar[tuple[str, ...]] = ("probes",)
    FOLDER: ClassVar[str] = "features"

    own: ProbeSettings

    def trained(self) -> list[str]:
        """Every combination."""
        return [
            ".".join(names)
            for names in product(self.plan.settings.backbones, self.own.heads, self.probe_labels)
        ]

    @property
    def probe_labels(self) -> tuple[str, ...]:
        """The labels that heads are fitted for."""
        return self.own.labels or (self.plan.settings.data.own_label,)

    @property
    def listed_labels(self) -> list[str]:
        """Those that stores do not have."""
        return [label for label in self.probe_labels if label != self.plan.settings.data.own_label]

    def seeds(self, run: str) -> Sequence[int]:
        """Only the attentive head depends on the seed."""
        return self.plan.seeds if run.split(".")[1] == "attentive" else self.plan.seeds[:1]

    def settings_of(self, run: str) -> ProbeRun:
        """The head of the run; the settings of the other are none of its business."""
        head = run.split(".")[1]
        return ProbeRun.model_validate({"head": head, head: getattr(self.own, head)})

    def evaluation(self) -> dict[str, Any]:
        """Pairs of classes."""
        return self.own.evaluate.model_dump(mode="json")

    @classmethod
    def modules_of(cls, settings: ProbeRun) -> list[str]:
        """The module of the kind of head."""
        return [lazy.module_of(HEADS[settings.head])]

    def gpus(self, run: str) -> int:
        """One for the attentive head."""
        return min(1, self.plan.settings.compute.gpus) if run.split(".")[1] == "attentive" else 0

    def train_needs(self, run: str, seed: int | str) -> Needs:
        """Features of training and validation, and the label."""
        return self._needs(run, "train", "val")

    def predict_needs(self, run: str, seed: int | str) -> Needs:
        """The head, and features of all splits, for no video may be in two; the label."""
        weights = {run: (self.of_run(run, seed).weights,)}
        return self._needs(run, *SPLITS).model_copy(update={"weights": weights})

    def _needs(self, run: str, *splits: str) -> Needs:
        backbone, _, label = run.split(".")
        features = {backbone: self.plan.features(backbone, *splits)}
        listed = self.plan.label(label) if label in self.listed_labels else {"classes": self.plan.classes}
        return Needs(features=features, **{"label": label, **listed})

    def tables(self) -> dict[str, Table]:
        """All heads."""
        needs = Needs(results={"metrics": self.every("metrics")})
        settings = self.own.evaluate.model_dump(mode="json")
        make = "vidkd.methods.probes.table:tabulate"
        return {"probes": Table(path=self.table_path("probes"), make=make, needs=needs, settings=settings)}
