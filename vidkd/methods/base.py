"""What a method says of itself to the workflow, the report and the command line; torch stays out.

A method is a section of the configuration (its settings, variants and problems) which also names its runs,
what each step of a run reads, and the modules that do the work. Everything else is the same for all methods.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from vidkd.config.backbones import BackboneSettings
from vidkd.config.base import Section, canonical
from vidkd.config.problems import Problem
from vidkd.methods.needs import Needs, Network, Store
from vidkd.paths import Paths, RunPaths

if TYPE_CHECKING:
    from vidkd.config.settings import CommonSettings


@dataclass(frozen=True)
class Plan:
    """A configuration and the places of its results: what a method is asked with."""

    settings: CommonSettings

    @property
    def paths(self) -> Paths:
        """Places of all results."""
        return Paths(self.settings.results_dir)

    @property
    def seeds(self) -> Sequence[int]:
        """Seeds of every run."""
        return self.settings.seeds

    @property
    def classes(self) -> str:
        """Names of the data set's own classes."""
        return self.paths.classes

    def run(self, method: str, run: str, seed: int | str) -> RunPaths:
        """The files of one run."""
        return self.paths.run(method, run, seed)

    def frames(self, *splits: str) -> dict[str, Store]:
        """Frame stores by split."""
        return {split: self._store(self.paths.frames, split=split) for split in splits}

    def features(self, backbone: str, *splits: str) -> dict[str, Store]:
        """Feature stores of a network by split."""
        return {split: self._store(self.paths.features, backbone=backbone, split=split) for split in splits}

    def _store(self, pattern: str, **names: str) -> str:
        last = self.settings.data.n_shards - 1
        return pattern.format(shard=f"{{0..{last}}}", **names)

    def label(self, label: str | None) -> dict[str, Any]:
        """`classes`, `labels` and `label` of Needs, from the list of labels; None is the data set's own."""
        name = label or self.settings.data.own_label
        paths = {"classes": self.paths.label_classes, "labels": self.paths.labels}
        return {key: path.format(label=name) for key, path in paths.items()} | {"label": name}

    def backbone(self, name: str) -> BackboneSettings:
        """The settings of a network; one that is trained here is a folder like any other."""
        used = self.settings.backbones[name]
        if used.checkpoint is None:
            return used
        folder = self.paths.checkpoint_network.format(checkpoint=used.checkpoint)
        return used.model_copy(update={"checkpoint": None, "folder": folder})

    def network(self, name: str, head: str | None = None) -> Network:
        """A frozen network with its files, and perhaps a head."""
        return Network(settings=self.backbone(name), files=tuple(self.network_files(name)), head=head)

    def network_files(self, name: str) -> list[str]:
        """The files of a network on this disk, such as are there; the job says what is missing."""
        source = self.backbone(name)
        if self.settings.backbones[name].checkpoint is not None:
            return [str(source.folder)]
        found: list[Path] = []  # a commit of the hub never changes
        if source.folder is not None:
            names = ("*.safetensors", "*.bin", "*.index.json", "*config.json")
            found = [file for name in names for file in Path(source.folder).glob(name)]
        elif source.file is not None:
            found = [Path(source.file), *Path(source.file).parent.glob("*config.json")]
        return sorted(os.fspath(file) for file in found if file.is_file())


class Teacher(Section):
    """A frozen network whose head is made for a label, measured, and judged by the gate."""

    backbone: str = Field(description="Its name.")
    settings: dict[str, Any] = Field(description="Of the head and the gate.")
    needs: Needs = Field(description="What it reads.")


class Table(Section):
    """A table that a method makes of its runs."""

    path: str = Field(description="The csv file.")
    make: str = Field(description="module:function that makes it of Needs and settings.")
    needs: Needs = Field(default=Needs(), description="What it reads.")
    settings: dict[str, Any] = Field(default={}, description="What else it depends on.")
    network: str | None = Field(default=None, description="The frozen network that runs for it.")


class Figure(Section):
    """A figure that a method has by itself."""

    draw: str = Field(description="module:function that draws it of Needs.")
    needs: Needs = Field(default=Needs(), description="What it reads.")
    caption: str = Field(description="What it shows, how to read it.")
    category: str = Field(default="", description="Heading that it stands below.")


class MethodSettings(Section):
    """The section of a method in the configuration."""

    def problems(self, settings: CommonSettings) -> list[Problem]:
        """What does not fit the other sections, each with its whole place."""
        return []


_ENTRIES = ("REPORT", "TRAIN", "PREDICT", "BY_HAND", "CONVERT", "EVALUATE", "MEASURE", "EXPORT")
"""Attributes of a `Method` that name an object of a module."""


class Method:
    """A method as the workflow and the report know it: its runs, and what each step of them reads."""

    NAME: ClassVar[str]
    """In targets, folders and tables."""
    TITLE: ClassVar[str]
    """In headings."""
    SECTION: ClassVar[type[MethodSettings]]
    """Of the configuration."""
    RECIPE: ClassVar[type[Section]]
    """Settings of one training: the options of `train`."""
    ABSENT: ClassVar[str]
    """What to set where the configuration has no runs of it."""
    TABLES: ClassVar[tuple[str, ...]] = ()
    """Names of the files of its tables."""
    REPORTED: ClassVar[tuple[str, ...]] = ()
    """Names, in the report, of those of its tables that it shows."""
    REPORT: ClassVar[str] = "report:SECTION"
    """module:Section of the report page that shows them; here and below, a module without a package
    is one of the method's folder."""
    FOLDER: ClassVar[str] = ""
    """Folder of its tables, where that is not its own."""
    TRAIN: ClassVar[str] = "train:training"
    """module:function that trains: `vidkd.methods.train.Job` in, `Fitted` out."""
    PREDICT: ClassVar[str] = "predict:predict"
    """module:function that predicts the test split: `Inputs`, settings and workers in, `Predicted` out;
    empty: its runs predict no classes."""
    BY_HAND: ClassVar[str] = "vidkd.methods.cli:nothing_more"
    """module:decorator that adds options to `train` for use by hand."""
    CLASHING: ClassVar[frozenset[str]] = frozenset()
    """Settings that have no option of their own, as `train` has one of that name."""
    CONVERT: ClassVar[str] = ""
    """module:function that caches features which a run makes: `Inputs` and files by split in."""
    EVALUATE: ClassVar[str] = ""
    """module:function of its own figures: `Evaluated` in, entries of `metrics.json` out."""
    MEASURE: ClassVar[str] = ""
    """module:function of what is measured: `Inputs` and settings in, `Part`s out; empty: nothing."""
    EXPORT: ClassVar[str] = ""
    """module:function that writes a folder which predicts videos: `Inputs`, `FrameSettings` and it in."""
    EXPORTED: ClassVar[str] = "export"
    """Name of that folder."""
    SHARED: ClassVar[bool] = False
    """Whether several processes may share a training."""
    CURVES: ClassVar[bool] = True
    """Whether its trainings have curves."""
    CLASSIFIES: ClassVar[bool] = True
    """Whether its runs predict classes; else features, which are compared with others."""
    COMPARED: ClassVar[bool] = True
    """Whether its runs are classifiers that the summary compares."""

    def __init_subclass__(cls) -> None:
        """Complete the entries that name a module of its folder without the folder."""
        folder = cls.__module__.rpartition(".")[0]
        for name in _ENTRIES:
            entry = getattr(cls, name)
            if entry and "." not in entry:
                setattr(cls, name, f"{folder}.{entry}")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.own: Any = getattr(plan.settings, self.NAME)

    @property
    def active(self) -> bool:
        """Whether the configuration has runs of it."""
        return bool(self.trained())

    def trained(self) -> list[str]:
        """Names of the runs that are trained."""
        raise NotImplementedError

    def runs(self) -> list[str]:
        """Names of all runs that are evaluated."""
        return self.trained()

    def seeds(self, run: str) -> Sequence[int]:
        """The seeds of a run."""
        return self.plan.seeds

    def settings_of(self, run: str) -> Any:
        """The settings that a run is trained with, a RECIPE: those of a variant, where runs are variants."""
        return self.own.variant(run)

    def settings_text(self, run: str) -> str:
        """The same as canonical JSON."""
        return canonical(self.settings_of(run))

    def evaluation(self) -> dict[str, Any]:
        """Settings that figures depend on beside predictions."""
        return {}

    @classmethod
    def modules_of(cls, settings: Any) -> list[str]:
        """Modules with code of a training that no import statement mentions, beside TRAIN's."""
        return []

    def train_needs(self, run: str, seed: int | str) -> Needs:
        """What a training reads."""
        raise NotImplementedError

    def predict_needs(self, run: str, seed: int | str) -> Needs:
        """What its prediction of the test split reads."""
        raise NotImplementedError

    def convert_needs(self, run: str, seed: int | str) -> Needs:
        """What its features are made from, where a run makes some."""
        raise NotImplementedError

    def evaluate_needs(self, run: str, seed: int | str) -> Needs:
        """What its figures are of: what the run has beside its weights."""
        own = self.of_run(run, seed)
        names = ["predictions", "efficiency"]
        names += ["config", "history"] if run in self.trained() else []
        return Needs(results={name: (getattr(own, name),) for name in names}, classes=self.classes)

    @property
    def label(self) -> str | None:
        """The label that its runs learn, from the list of labels; None: that of the stores."""
        return None

    @property
    def listed_labels(self) -> list[str]:
        """Every label that is listed for it."""
        return [self.label] if self.label else []

    @property
    def classes(self) -> str:
        """Names of the classes that its runs tell apart."""
        return str(self.plan.label(self.label)["classes"]) if self.label else self.plan.classes

    @property
    def baseline(self) -> str | None:
        """The run that others are compared with, by default as configured; None: they are not compared."""
        name: str | None = getattr(self.own, "baseline", None)
        return name

    def work(self, run: str) -> int:
        """How long a training is beside others: the longest begin first."""
        return 0

    def gpus(self, run: str) -> int:
        """GPUs of a training."""
        gpus = self.plan.settings.compute.gpus
        return gpus if self.SHARED else min(1, gpus)

    def of_run(self, run: str, seed: int | str) -> RunPaths:
        """The files of one of its runs."""
        return self.plan.paths.run(self.NAME, run, seed)

    def every(self, artefact: str) -> tuple[str, ...]:
        """An artefact (`metrics`) of every run and seed."""
        return tuple(
            getattr(self.of_run(run, seed), artefact) for run in self.runs() for seed in self.seeds(run)
        )

    def first(self, artefact: str) -> dict[str, str]:
        """An artefact of every run with its first seed."""
        return {run: getattr(self.of_run(run, self.seeds(run)[0]), artefact) for run in self.runs()}

    def first_weights(self) -> dict[str, tuple[str, ...]]:
        """The weights of every run with its first seed, for `Needs`."""
        return {run: (file,) for run, file in self.first("weights").items()}

    def table_path(self, name: str) -> str:
        """The file of a table of its own."""
        return self.plan.paths.table(self.FOLDER or self.NAME, name)

    def prediction_settings(self) -> dict[str, Any]:
        """Settings that predictions depend on beside the weights."""
        return {}

    def teachers(self) -> dict[str, Teacher]:
        """The frozen networks that teach, whose heads are made and measured first, by name."""
        return {}

    def tables(self) -> dict[str, Table]:
        """The tables of its runs by their name in the report."""
        return {}

    def figures(self) -> dict[str, Figure]:
        """The figures that it has beside those of all methods, by name."""
        return {}

    def measure_settings(self) -> dict[str, Any]:
        """What the measurement depends on beside the networks."""
        return {}

    @property
    def measured(self) -> bool:
        """Whether the cost of its networks is measured."""
        return bool(self.MEASURE)

    def measure_needs(self) -> Needs:
        """What is measured."""
        raise NotImplementedError

    @property
    def exports(self) -> bool:
        """Whether one of its runs is exported."""
        return False

    @property
    def exported(self) -> str:
        """Folder of the exported run."""
        return self.plan.paths.exported(self.NAME, self.EXPORTED)

    def export_needs(self) -> Needs:
        """What is exported: by default the shown run, with the first seed."""
        run = self.shown_run()
        return Needs(weights={run: (self.of_run(run, self.seeds(run)[0]).weights,)})

    def shown_run(self) -> str:
        """The run whose mistakes are shown."""
        return self.trained()[0]

    def confused(self) -> dict[str, str]:
        """Predictions whose confusions are drawn, by name: the teachers', then each run's."""
        taught_by = {f"({n})": self.plan.paths.teacher(self.NAME, n).predictions for n in self.teachers()}
        return taught_by | self.first("predictions")
