"""Evaluate heads on the features of frozen networks: their own figures, and the table of all.

Intervals are Wilson's 95% over the test clips, at the mean accuracy over seeds: seeds share the clips, so
that more of them say no more about other clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from vidkd.artefacts import read_json
from vidkd.errors import UserError
from vidkd.evaluate.statistics import wilson_percent
from vidkd.methods.evaluate import Evaluated
from vidkd.methods.inputs import Inputs
from vidkd.methods.probes.settings import ProbeEvaluationSettings
from vidkd.methods.table_rows import accuracy_columns, mean_and_std

_KEYS = ["backbone", "head", "label"]


def figures(run: Evaluated) -> dict[str, Any]:
    """Say what was fitted on what, and in percent how often classes of a pair are told apart."""
    pairs = ProbeEvaluationSettings.model_validate(run.settings).pairs
    told_apart, pairs_clips = _within_pairs(run.table, run.classes, pairs)
    return {
        **{name: run.config[name] for name in _KEYS},
        "classes": run.classes,
        "pairs_clips": pairs_clips,
        "pairs": None if told_apart is None else 100 * told_apart,
    }


def tabulate(inputs: Inputs, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Make a row for each backbone, head and label, in their order; accuracies in percent.

    Raises:
        UserError: no label has both classes of a pair.
    """
    runs = [read_json(path) for path in inputs.results("metrics")]
    for one, other in ProbeEvaluationSettings.model_validate(settings).pairs.items():
        if not any({one, other} <= set(run["classes"]) for run in runs):
            labels = ", ".join(dict.fromkeys(run["label"] for run in runs))
            raise UserError(
                f"probes.evaluate.pairs: {one}: {other} are not two classes of one label ({labels}): correct "
                "the names, or leave the pair out"
            )
    return pd.DataFrame([_row(group) for _, group in pd.DataFrame(runs).groupby(_KEYS, sort=False)])


def _within_pairs(
    table: pd.DataFrame, classes: Sequence[str], pairs: Mapping[str, str]
) -> tuple[float | None, float]:
    """How often a clip's class has a higher score than its partner, and how many clips that is worth.

    Both classes of a pair count alike, however many clips they have: a head that always prefers one has a
    half. The mean of two rates varies as the rate of 4ab / (a + b) clips would, a and b being the clips of
    the classes: that is the weight of the pair. It is a + b where they are equal, and 0 where one has none.

    Returns:
        The share, 0 to 1, of all pairs together, None where no pair has clips; and the sum of the weights.
    """
    total, weights = 0.0, 0.0
    for pair in pairs.items():
        if not set(pair) <= set(classes):
            continue
        one, other = (classes.index(name) for name in pair)
        won = [_preferred(table, label, over) for label, over in ((one, other), (other, one))]
        a, b = map(len, won)
        if a and b:
            weight = 4 * a * b / (a + b)
            total += weight * (won[0].mean() + won[1].mean()) / 2
            weights += weight
    return total / weights if weights else None, weights


def _preferred(table: pd.DataFrame, label: int, over: int) -> pd.Series:
    """For each clip of class `label`: 1 if it scores higher than `over`, a half if the same."""
    own, other = (table.loc[table["label_id"] == label, f"s_{k}"] for k in (label, over))
    return (own > other) + (own == other) / 2


def _row(seeds: pd.DataFrame) -> dict[str, Any]:
    """The row of one backbone, head and label."""
    first, accuracy = seeds.iloc[0], accuracy_columns(seeds)
    row = {
        **{name: first[name] for name in _KEYS},
        "seeds": len(seeds),
        "classes": len(first["classes"]),
        **accuracy,
        "chance": first["chance"],
        "above_chance": accuracy["low"] > first["chance"],
        **mean_and_std(seeds, ["mean_class"]),
        "params": first["params"],
        "pairs": None,
        "pairs_low": None,
        "pairs_high": None,
    }
    if first["pairs_clips"]:
        pairs = seeds["pairs"].astype(float).mean()
        low, high = wilson_percent(pairs, first["pairs_clips"])
        row |= {"pairs": pairs, "pairs_low": low, "pairs_high": high}
    return row | {"clips": first["n_clips"]}
