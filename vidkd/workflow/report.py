"""What the rules of figures, tables and the page ask."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from vidkd import lazy
from vidkd.errors import UserError
from vidkd.methods.base import Figure, Method, Plan
from vidkd.registry import report_modules
from vidkd.report.plan import RULES, captions, planned, planned_figures
from vidkd.report.sources import Sources
from vidkd.workflow.asking import Wildcards, code

_Job = tuple[Any, tuple[tuple[str, str], ...]]
"""A rule and its wildcards."""


class ReportSteps:
    """The report of a configuration, asked by the rules."""

    dag_caption = RULES

    def __init__(self, active: Sequence[Method], plan: Plan, project: Path) -> None:
        self.active, self.plan, self.project = active, plan, project
        self.paths, self.settings = plan.paths, plan.settings

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """Every figure of the report but that of the rules, by name."""
        return planned_figures(self.active, self.plan)

    @cached_property
    def sources(self) -> Sources:
        """What the tables of the report are made of."""
        return planned(self.active, self.plan)

    def figure(self, wildcards: Wildcards) -> Figure:
        """Find the figure that is drawn."""
        found = self.figures.get(wildcards.figure)
        if found is None:
            raise UserError(
                f"the configuration has no figure {wildcards.figure}; known: {', '.join(self.figures)}"
            )
        return found

    def figure_code(self, wildcards: Wildcards) -> str:
        """Digest what draws a figure."""
        return code("draw", lazy.module_of(self.figure(wildcards).draw))

    def report_tables(self, kind: str) -> list[str]:
        """List the tables of the report as csv, md or tex."""
        files = (self.paths.report_table.format(table=name) for name in self.sources.made)
        return [str(Path(file).with_suffix(f".{kind}")) for file in files]

    @property
    def report_figures(self) -> list[str]:
        """Every figure of the report."""
        return [self.paths.figure.format(figure=name) for name in self.sources.figures]

    @property
    def report_words(self) -> str:
        """The options that name what tables are made of."""
        return " ".join(self.sources.words)

    @property
    def kind_words(self) -> str:
        """The options that name the kinds of networks."""
        return " ".join(f"--kind={name}={used.kind}" for name, used in self.settings.backbones.items())

    @property
    def page_words(self) -> str:
        """The options that name what the page shows."""
        named = {"table": self.report_tables("csv"), "figure": self.report_figures}
        return " ".join(
            f"--{kind}={Path(file).stem}={file}" for kind, files in named.items() for file in files
        )

    def report_code(self, script: str) -> str:
        """Digest a script of the report, and what it shows of each method."""
        return code(script, *report_modules())

    def captions(self, wildcards: Wildcards) -> str:
        """Say what every figure shows, as JSON."""
        return json.dumps(captions(self.figures))

    def rule_graph(self, rules: Iterable[Any], targets: Iterable[str]) -> str:
        """Which rule needs which, as JSON."""
        return json.dumps(rule_graph(rules, targets))

    def project_file(self, *parts: str) -> str:
        """Name a file of the project, as seen from the folder of the run."""
        return os.path.relpath(self.project.joinpath(*parts))

    def project_files(self, *folder: str) -> list[str]:
        """List files of the project that are not Python, which no code digest covers."""
        return sorted(os.path.relpath(file) for file in self.project.joinpath(*folder).iterdir())


def rule_graph(rules: Iterable[Any], targets: Iterable[str]) -> dict[str, Any]:
    """Find which rules `targets` need, and which rule needs which: as Snakemake does, back from the targets.

    It asks the rules, not the jobs of this call: a call may ask for less, and a cluster job knows itself
    alone.

    Args:
        rules: of the workflow, as Snakemake has them.
        targets: files.

    Returns:
        `stages`: for each rule, and method where it is one rule for all of them, the name of its file,
            without folder and suffix.
        `edges`: pairs of names: a rule, and another that reads its output.
    """
    rules = list(rules)

    @cache
    def job_of(file: str) -> _Job | None:
        for rule in rules:
            if rule.is_producer(file):
                wildcards = dict(rule.get_wildcards(file))
                if "shard" in wildcards:
                    wildcards["shard"] = "0"  # one for all: they need the same rules, and may be thousands
                return rule, tuple(sorted(wildcards.items()))
        return None

    def jobs_of(files: Iterable[str]) -> set[_Job]:
        return {job for file in files if (job := job_of(file))}

    stages: dict[str, str] = {}
    edges: set[tuple[str, str]] = set()
    waiting = jobs_of(targets)
    seen = set(waiting)
    while waiting:
        job = waiting.pop()
        rule, wildcards = job
        stages[_name(job)] = Path(rule.snakefile).stem
        inputs, *_ = rule.expand_input(dict(wildcards))
        needed = jobs_of(inputs)
        edges |= {(_name(other), _name(job)) for other in needed if _name(other) != _name(job)}
        waiting |= needed - seen
        seen |= needed
    return {"stages": dict(sorted(stages.items())), "edges": sorted(edges)}


def _name(job: _Job) -> str:
    """A rule with the method that its job is of: `train ffn`."""
    rule, wildcards = job
    of = [value for name, value in wildcards if name in ("method", "folder")]
    return " ".join([rule.name, *of])
