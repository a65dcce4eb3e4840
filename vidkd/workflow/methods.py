"""What the rules of methods ask: inputs, params, priorities; no torch, for cluster jobs read this again."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from vidkd import lazy
from vidkd.backbones.registry import module_of
from vidkd.config.backbones import WeightsSettings
from vidkd.config.base import canonical
from vidkd.config.data import SPLITS
from vidkd.config.load import load_settings
from vidkd.config.settings import CommonSettings
from vidkd.errors import UserError
from vidkd.files import check_writable
from vidkd.methods.base import Method, Plan, Table, Teacher
from vidkd.methods.needs import Needs
from vidkd.registry import METHODS, find_method
from vidkd.workflow.asking import Wildcards, code, or_sentence
from vidkd.workflow.data import DataSteps
from vidkd.workflow.report import ReportSteps


class Workflow:
    """A configuration, asked by the rules."""

    TEACHERS_FIRST = 1000
    """Priority of teachers' heads, which take seconds and let trainings begin."""

    def __init__(self, config: Mapping[str, Any], project: Path) -> None:
        self.settings: CommonSettings = or_sentence(load_settings, config)
        self.plan = Plan(self.settings)
        self.paths = self.plan.paths
        # Of a job that is not shared by several processes.
        self.one_gpu = min(1, self.settings.compute.gpus)
        # Trainings that can be shared have a process for each GPU: a resource, for it changes no result.
        self.processes = max(1, self.settings.compute.gpus)
        if self.settings.compute.trackers:  # in no rule, where it would be a reason to train anew
            os.environ["VIDKD_TRACKERS"] = ",".join(self.settings.compute.trackers)
        self.data = DataSteps(self.plan)
        # Weights can be fetched first, and say themselves which of them are missing.
        if "download_weights" not in sys.argv:
            or_sentence(self._check_starts)
        or_sentence(check_writable, self.settings.results_dir, "results_dir")
        self.report = ReportSteps(self.active, self.plan, project)

    @cached_property
    def methods(self) -> dict[str, Method]:
        """Every method of the registry."""
        return {name: find_method(name)(self.plan) for name in METHODS}

    @cached_property
    def active(self) -> list[Method]:
        """Those that the configuration has runs of."""
        return [method for method in self.methods.values() if method.active]

    def method(self, wildcards: Wildcards) -> Method:
        """Find the method that a job is of."""
        found = self.methods[wildcards.method]
        if not found.active:
            raise UserError(f"the configuration has no runs of {found.NAME}: {found.ABSENT}")
        return found

    def needs(self, step: str) -> Callable[[Wildcards], Needs]:
        """Make the function of wildcards that says what a step (`train`) of a run or of a method reads."""

        def of_job(wildcards: Wildcards) -> Needs:
            method = self.method(wildcards)
            found: Callable[..., Needs] = getattr(method, f"{step}_needs")
            if step in ("measure", "export"):
                return found()
            known = method.runs() if step in ("predict", "evaluate") else method.trained()
            if wildcards.run not in known:
                raise UserError(f"{method.NAME} has no run {wildcards.run}; known: {', '.join(known)}")
            return found(wildcards.run, wildcards.seed)

        return of_job

    def teacher(self, wildcards: Wildcards) -> Teacher:
        """Find the teacher whose head is made."""
        return self.method(wildcards).teachers()[wildcards.teacher]

    def table(self, wildcards: Wildcards) -> Table:
        """Find the table whose file is asked for."""
        path = f"{self.settings.results_dir}/{wildcards.folder}/{wildcards.table}.csv"
        for method in self.active:
            for table in method.tables().values():
                if table.path == path:
                    return table
        absent = [m for m in self.methods.values() if not m.active and wildcards.folder in (m.NAME, m.FOLDER)]
        words = f": {absent[0].ABSENT}" if absent else ""
        raise UserError(f"the configuration has nothing to make {path} of{words}")

    def run_settings(self, wildcards: Wildcards) -> str:
        """The settings of a training as canonical JSON."""
        return self.method(wildcards).settings_text(wildcards.run)

    def settings_beside(self, name: str) -> Callable[[Wildcards], str]:
        """Make a params function: what a step depends on beside its files, such as `measure_settings`."""
        return lambda wildcards: json.dumps(getattr(self.method(wildcards), name)(), sort_keys=True)

    def train_code(self, wildcards: Wildcards) -> str:
        """Digest the code of a training."""
        method = self.method(wildcards)
        return code(
            "train", lazy.module_of(method.TRAIN), *method.modules_of(method.settings_of(wildcards.run))
        )

    def step_code(self, script: str, step: str) -> Callable[[Wildcards], str]:
        """Make a params function: digest of a script and of a method's own module for it (`PREDICT`)."""

        def digest(wildcards: Wildcards) -> str:
            entry = getattr(self.method(wildcards), step)
            return code(script, *([lazy.module_of(entry)] if entry else []))

        return digest

    def table_code(self, wildcards: Wildcards) -> str:
        """Digest what makes a table."""
        table = self.table(wildcards)
        kinds = [module_of(self.plan.backbone(table.network).kind)] if table.network else []
        return code("tabulate", lazy.module_of(table.make), *kinds)

    def export_code(self, wildcards: Wildcards) -> str:
        """Digest what exports a run, and the kinds of its networks."""
        method = self.method(wildcards)
        kinds = {module_of(network.settings.kind) for network in method.export_needs().networks.values()}
        return code("export", lazy.module_of(method.EXPORT), *sorted(kinds))

    def table_settings(self, wildcards: Wildcards) -> str:
        """What a table depends on beside its files."""
        return json.dumps(self.table(wildcards).settings, sort_keys=True)

    def table_threads(self, wildcards: Wildcards) -> int:
        """Cores of a table: those of the network that runs for it."""
        network = self.table(wildcards).network
        return self.plan.backbone(network).cpu_threads if network else 1

    def table_gpus(self, wildcards: Wildcards) -> int:
        """GPUs of a table."""
        return self.one_gpu if self.table(wildcards).network else 0

    def table_memory(self, wildcards: Wildcards) -> int:
        """Memory in MB of a table."""
        return self.settings.compute.mem_mb if self.table(wildcards).network else 4000

    def evaluate_threads(self, wildcards: Wildcards) -> int:
        """Cores of an evaluation: those of the training where features are compared."""
        method = self.method(wildcards)
        return 1 if method.CLASSIFIES else method.settings_of(wildcards.run).cpu_threads

    def evaluate_gpus(self, wildcards: Wildcards) -> int:
        """GPUs of an evaluation."""
        return 0 if self.method(wildcards).CLASSIFIES else self.one_gpu

    def evaluate_memory(self, wildcards: Wildcards) -> int:
        """Memory in MB of an evaluation."""
        return 4000 if self.method(wildcards).CLASSIFIES else self.settings.compute.mem_mb

    def teacher_settings(self, wildcards: Wildcards) -> str:
        """The settings of a teacher's head."""
        return json.dumps(self.teacher(wildcards).settings, sort_keys=True)

    def teacher_threads(self, wildcards: Wildcards) -> int:
        """Cores of its fit."""
        return int(self.teacher(wildcards).settings["cpu_threads"])

    def work(self, wildcards: Wildcards) -> int:
        """Priority of a training: the longest first, so that no core waits for it at the end."""
        return self.method(wildcards).work(wildcards.run)

    def train_threads(self, wildcards: Wildcards) -> int:
        """Cores of a training: each of its processes has its loaders, or its threads."""
        method = self.method(wildcards)
        threads = method.settings_of(wildcards.run).cpu_threads
        return self.processes * max(self.settings.compute.workers, threads) if method.SHARED else threads

    def predict_threads(self, wildcards: Wildcards) -> int:
        """Cores of a prediction."""
        method = self.method(wildcards)
        run = wildcards.run if wildcards.run in method.trained() else method.trained()[0]
        return max(self.settings.compute.workers, method.settings_of(run).cpu_threads)

    def train_gpus(self, wildcards: Wildcards) -> int:
        """GPUs of a training."""
        return self.method(wildcards).gpus(wildcards.run)

    def launch(self, wildcards: Wildcards) -> str:
        """Say what starts the processes of a training, where there are several."""
        if self.processes == 1 or not self.method(wildcards).SHARED:
            return ""
        return f"torch.distributed.run --standalone --nproc_per_node={self.processes} -m "

    def teacher_code(self, wildcards: Wildcards) -> str:
        """Digest what makes a teacher's head."""
        kind = self.plan.backbone(self.teacher(wildcards).backbone).kind
        return code("fit_teacher", module_of(kind))

    def weights_settings(self, wildcards: Wildcards) -> str:
        """List all weights that are made elsewhere, as canonical JSON."""
        starts = {
            f"{method.NAME}.{run}": source
            for method in self.active
            for run in method.trained()
            if (source := getattr(method.settings_of(run), "weights", None))
        }
        return canonical(WeightsSettings(backbones=self.settings.backbones, starts=starts))

    def final_output(self) -> list[str]:
        """List what a run is for: the page, tables it does not show, and networks to use elsewhere."""
        tables = [table.path for method in self.active for table in method.tables().values()]
        return [self.paths.report, *tables, *(m.exported for m in self.active if m.exports)]

    @property
    def exported_names(self) -> str:
        """What folders of exported runs are called."""
        return self.alternatives(method.EXPORTED for method in self.active if method.exports)

    def alternatives(self, names: Iterable[str]) -> str:
        """Write a wildcard's constraint: one of these names and nothing else."""
        return "|".join(map(re.escape, dict.fromkeys(names))) or "(?!)"

    def constraints(self) -> dict[str, str]:
        """Say what each wildcard may be."""
        runs = [run for method in self.active for run in method.runs()]
        labels = [label for method in self.active for label in method.listed_labels]
        tables = [Path(table.path).stem for method in self.active for table in method.tables().values()]
        known = [table for method in self.methods.values() for table in method.TABLES]
        return {
            "split": self.alternatives(SPLITS),
            "method": self.alternatives(METHODS),
            "run": self.alternatives(runs),
            "teacher": self.alternatives(name for method in self.active for name in method.teachers()),
            "backbone": self.alternatives(self.settings.backbones),
            "checkpoint": self.alternatives(self.settings.checkpoints),
            "label": self.alternatives([*labels, self.settings.data.own_label]),
            "table": self.alternatives([*tables, *known]),
            "folder": self.alternatives([*METHODS, *(method.FOLDER for method in self.methods.values())]),
            "shard": r"\d+",
            "seed": r"\d+",
        }

    def _check_starts(self) -> None:
        """Say at once that a file to start from is missing."""
        for method in self.active:
            for run in method.trained():
                for file in method.train_needs(run, self.plan.seeds[0]).results.get("start", ()):
                    if not Path(file).is_file():
                        changes = method.own.variants.get(run, {})
                        place = f"variants.{run}" if "weights" in changes else "base"
                        raise UserError(
                            f"{method.NAME}.{place}.weights: there is no file {file}. Put it there, or "
                            "correct the path."
                        )
