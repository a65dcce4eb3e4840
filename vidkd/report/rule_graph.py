"""Find which rule of a workflow needs which, as Snakemake does: from the targets back to their rules.

It asks the rules, not the jobs of this call: a call may ask for less, and a cluster job knows itself alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

Job = tuple[Any, tuple[tuple[str, str], ...]]
"""A rule and its wildcards."""


def rule_graph(rules: Iterable[Any], targets: Iterable[str]) -> dict[str, Any]:
    """The rules that `targets` need.

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
    def job_of(file: str) -> Job | None:
        for rule in rules:
            if rule.is_producer(file):
                wildcards = dict(rule.get_wildcards(file))
                if "shard" in wildcards:
                    wildcards["shard"] = "0"  # one for all: they need the same rules, and may be thousands
                return rule, tuple(sorted(wildcards.items()))
        return None

    def jobs_of(files: Iterable[str]) -> set[Job]:
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


def _name(job: Job) -> str:
    """A rule with the method that its job is of: `train ffn`."""
    rule, wildcards = job
    of = [value for name, value in wildcards if name in ("method", "folder")]
    return " ".join([rule.name, *of])
