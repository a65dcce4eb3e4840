"""Which rule of a workflow needs which, found as Snakemake does it: from the targets back to what makes them.

From the rules as they were read, and not from the jobs of this call: those are only what was asked for, and
in a job of a cluster that job alone. So every call finds the same, whatever is finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
        `stages`: by name of a rule the file that it is written in, without folder and suffix.
        `edges`: pairs of names, of what makes a file and what reads it; nothing of a rule with itself.
    """
    find = _finder(list(rules))
    stages: dict[str, str] = {}
    edges: set[tuple[str, str]] = set()
    waiting = {job for file in targets if (job := find(file))}
    seen = set(waiting)
    while waiting:
        rule, wildcards = waiting.pop()
        stages[rule.name] = Path(rule.snakefile).stem
        inputs, *_ = rule.expand_input(dict(wildcards))
        needed = {job for file in inputs if (job := find(file))}
        edges |= {(job[0].name, rule.name) for job in needed if job[0] != rule}
        waiting |= needed - seen
        seen |= needed
    return {"stages": dict(sorted(stages.items())), "edges": sorted(edges)}


def _finder(rules: list[Any]) -> Callable[[str], Job | None]:
    """A function that finds the job that makes a file, if a rule does."""

    @cache
    def find(file: str) -> Job | None:
        for rule in rules:
            if rule.is_producer(file):
                wildcards = dict(rule.get_wildcards(file))
                if "shard" in wildcards:
                    wildcards["shard"] = "0"  # for all, which need the same rules: there may be thousands
                return rule, tuple(sorted(wildcards.items()))
        return None

    return find
