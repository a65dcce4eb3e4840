"""How well heads on the features of frozen networks do: figures of each run, and the table of all.

Intervals are Wilson's 95% over the test clips, at the mean accuracy over seeds: seeds share the clips, so
that more of them say no more about other clips.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vidkd.errors import UserError
from vidkd.evaluate.statistics import wilson
from vidkd.files import atomic, write_text

KEYS = ["backbone", "head", "label"]


def evaluate_probe(predictions: Path, config_json: Path, metrics: Path, pairs: Mapping[str, str]) -> None:
    """Write `metrics.json` of one run; see measure.

    Raises:
        UserError: the predictions have no row.
    """
    table = pd.read_csv(predictions, dtype={"video_id": str})
    if table.empty:
        raise UserError(f"{predictions} has no predictions: delete it and run again.")
    config = json.loads(config_json.read_text(encoding="utf-8"))
    write_text(metrics, json.dumps(measure(table, config, pairs), indent=2) + "\n")


def tabulate(metrics: Sequence[Path], pairs: Mapping[str, str], table_csv: Path) -> None:
    """Write a row for each backbone, head and label, in their order; accuracies in percent.

    Raises:
        UserError: a pair has a class that no label has.
    """
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in metrics]
    known = {name for run in runs for name in run["classes"]}
    if unknown := sorted({*pairs, *pairs.values()} - known):
        raise UserError(f"probes.evaluate.pairs: no label has the class {', '.join(unknown)}")
    rows = [_row(group) for _, group in pd.DataFrame(runs).groupby(KEYS, sort=False)]
    with atomic(table_csv) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.4f")


def measure(table: pd.DataFrame, config: Mapping[str, Any], pairs: Mapping[str, str]) -> dict[str, Any]:
    """The figures of one run on the test split, accuracies in percent.

    Args:
        table: its predictions.
        config: its `config.json`.
        pairs: classes that differ in the order of frames only.
    """
    right, classes = table["pred"] == table["label_id"], config["classes"]
    largest = table["label_id"].value_counts(normalize=True).max()
    own, other = _scores_in_pairs(table, classes, pairs)
    stuck = table["pred"].nunique() == 1
    return {
        "variant": ".".join(config[name] for name in KEYS),
        **{name: config[name] for name in (*KEYS, "seed", "params")},
        "classes": classes,
        "n_clips": len(table),
        "top1": 100 * right.mean(),
        "mean_class": 100 * right.groupby(table["label_id"]).mean().mean(),
        "chance": 100 * max(largest, 1 / len(classes)),
        "pairs_clips": len(own),
        "pairs": 100 * ((own > other).mean() + (own == other).mean() / 2) if len(own) else None,
        "result_gate": {"passed": not stuck, "reason": "every clip gets the same class" if stuck else ""},
    }


def _scores_in_pairs(
    table: pd.DataFrame, classes: Sequence[str], pairs: Mapping[str, str]
) -> tuple[pd.Series, pd.Series]:
    """For the clips of paired classes: the score of their class, and that of its partner."""
    partner = dict(pairs) | {other: one for one, other in pairs.items()}
    own, others = [], []
    for label, name in enumerate(classes):
        if partner.get(name) in classes:
            of_class = table[table["label_id"] == label]
            own.append(of_class[f"s_{label}"])
            others.append(of_class[f"s_{classes.index(partner[name])}"])
    empty = pd.Series(dtype=float)
    return pd.concat([empty, *own]), pd.concat([empty, *others])


def _row(seeds: pd.DataFrame) -> dict[str, Any]:
    """The row of one backbone, head and label."""
    first, mean = seeds.iloc[0], seeds["top1"].mean()
    low, high = _interval(mean, first["n_clips"])
    row = {
        **{name: first[name] for name in KEYS},
        "seeds": len(seeds),
        "classes": len(first["classes"]),
        "top1": mean,
        "top1_std": seeds["top1"].std(),
        "low": low,
        "high": high,
        "chance": first["chance"],
        "above_chance": low > first["chance"],
        "mean_class": seeds["mean_class"].mean(),
        "mean_class_std": seeds["mean_class"].std(),
        "params": first["params"],
        "pairs": None,
        "pairs_low": None,
        "pairs_high": None,
    }
    if first["pairs_clips"]:
        pairs = seeds["pairs"].astype(float).mean()
        low, high = _interval(pairs, first["pairs_clips"])
        row |= {"pairs": pairs, "pairs_low": low, "pairs_high": high}
    return row


def _interval(percent: float, count: int) -> tuple[float, float]:
    low, high = wilson(percent / 100, count)
    return 100 * low, 100 * high
