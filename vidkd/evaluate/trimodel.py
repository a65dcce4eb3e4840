"""What a student gains from a teacher and an assistant: figures of each run, and the tables."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import average_precision_score

from vidkd.data.tables import read_classes
from vidkd.errors import UserError
from vidkd.evaluate.classes import (
    average_precision,
    class_figures,
    class_gate,
    macro_f1,
    read_predictions,
)
from vidkd.evaluate.paired import Groups, comparisons, differences, read_runs
from vidkd.evaluate.statistics import wilson_percent
from vidkd.evaluate.tables import read_table
from vidkd.files import atomic, write_text
from vidkd.methods.trimodel.settings import ASSISTANT, TEACHER

log = logging.getLogger(__name__)

COMPARED = ("delta", "delta_std", "delta_low", "delta_high", "p", "p_holm")
"""Columns that compare a variant with the baseline; the baseline's own and the networks' are empty."""

OVER_TEACHER = {
    "over_teacher": "delta", "over_teacher_low": "delta_low", "over_teacher_high": "delta_high",
    "over_teacher_p": "p",
}  # fmt: skip
"""Columns that compare a student of both networks with one of the teacher alone, and what they are of."""

OVER_SEEDS = ("mean_class", "f1", "ap", "ap_anomaly", "agreement_teacher", "agreement_assistant")
"""Further figures, whose mean and deviation over seeds are columns."""

LOSSES = (
    "task_loss", "teacher_feature_loss", "assistant_feature_loss", "teacher_attention_loss",
    "assistant_attention_loss", "asymmetric_loss",
)  # fmt: skip
"""Terms, weighted as they are added up: the mean of the last epoch, and of it over seeds."""

TIMES = ("ms_1", "ms_2")
"""Columns of the times, by the number of threads."""


def evaluate_trimodel(
    predictions: Path,
    config_json: Path,
    history_csv: Path,
    efficiency: Path,
    normal: str | None,
    metrics: Path,
) -> None:
    """Write `metrics.json` of one run; see measure.

    Raises:
        UserError: the predictions have no row, or no class is called `normal`.
    """
    table = read_predictions(predictions)
    config = json.loads(config_json.read_text(encoding="utf-8"))
    cost = json.loads(efficiency.read_text(encoding="utf-8"))
    last = {str(name): value for name, value in pd.read_csv(history_csv).iloc[-1].items()}
    found = measure(table, config, last, cost, normal)
    write_text(metrics, json.dumps(found, indent=2) + "\n")


def measure(
    table: pd.DataFrame,
    config: Mapping[str, Any],
    last: Mapping[str, float],
    cost: Mapping[str, Any],
    normal: str | None,
) -> dict[str, Any]:
    """The figures of one run on the test split, accuracies in percent.

    Args:
        table: its predictions.
        config: its `config.json`.
        last: the last row of its history.
        cost: its `efficiency.json`.
        normal: see `figures`.
    """
    about = ("seed", "label", TEACHER, ASSISTANT, "train_clips", "labelled_clips")
    return {
        "variant": f"trimodel.{config['variant']}",
        "student": config["variant"],
        **{name: config[name] for name in about},
        **figures(table, config["classes"], normal),
        **{
            f"agreement_{name}": 100 * (table["pred"] == table[f"{name}_pred"]).mean()
            for name in (TEACHER, ASSISTANT)
        },
        **{name: last[name] for name in LOSSES if name in last},
        "frames": config["settings"]["frames"],
        **cost,
        "result_gate": class_gate(table),
    }


def figures(table: pd.DataFrame, classes: Sequence[str], normal: str | None) -> dict[str, Any]:
    """What is measured of students and frozen networks alike, in percent.

    `ap` is the mean over classes of the average precision of each, of the videos that carry it against all
    others; `ap_anomaly` that of all classes but `normal` against it, which XD-Violence reports (there of
    frames, here of videos).

    Args:
        table: predictions.
        classes: names by label id.
        normal: of the class of what is nothing special; None: there is none.

    Raises:
        UserError: no class is called `normal`.
    """
    found: dict[str, Any] = {**class_figures(table), "f1": macro_f1(table)}
    label = table["label_id"]
    there = sorted(set(label))
    found["ap"] = average_precision(table)
    right = table["pred"] == label
    found["per_class"] = {classes[k]: 100 * float(right[label == k].mean()) for k in there}
    if normal is not None:
        if normal not in classes:
            raise UserError(f"trimodel.normal: no class is called {normal!r}; known: {', '.join(classes)}")
        k = list(classes).index(normal)
        found["ap_anomaly"] = 100 * average_precision_score(label != k, 1 - table[f"s_{k}"])
    return found


def tabulate(
    metrics: Sequence[Path],
    heads: Mapping[str, Path],
    classes_json: Path,
    latency_csv: Path,
    baseline: str,
    normal: str | None,
    table_csv: Path,
    per_class_csv: Path,
) -> None:
    """Write a row for each variant, in their order, and one for teacher and assistant each.

    Args:
        metrics: `metrics.json` of each run, beside its `predictions.csv`.
        heads: `metrics.json` of the heads of TEACHER and ASSISTANT, beside their `predictions.csv`.
        classes_json: class names.
        latency_csv: what each takes a clip, and what the frozen networks cost.
        baseline: the variant that the others are compared with.
        normal: see `figures`.
        table_csv: table to write; accuracies in percent.
        per_class_csv: accuracy of each class, mean over seeds.

    Raises:
        UserError: see `read_runs` and `differences`.
    """
    groups = read_runs(metrics, "student", baseline)
    compared = comparisons(differences(groups, baseline))
    over_teacher = over_the_teacher(groups)
    latency = read_table(latency_csv).set_index("variant")
    costs = {
        str(name): {str(column): value for column, value in row.items()} for name, row in latency.iterrows()
    }
    rows = [
        _row(name, seeds, compared.get(name, {}) | over_teacher.get(name, {}), costs[name])
        for name, seeds in groups.items()
    ]
    classes = read_classes(classes_json)
    frozen = {name: _frozen(name, file, classes, normal, costs[name]) for name, file in heads.items()}
    rows += list(frozen.values())
    largest = frozen[TEACHER]["params"]
    for row in rows:
        row["top1_per_mparams"] = row["top1"] / (row["params"] / 1e6)
        row["params_of_teacher"] = 100 * row["params"] / largest
    per_class = {name: pd.DataFrame(list(seeds["per_class"])).mean() for name, seeds in groups.items()}
    per_class |= {name: pd.Series(row.pop("per_class")) for name, row in frozen.items()}
    with atomic(table_csv) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.4f")
    with atomic(per_class_csv) as temporary:
        shown = pd.DataFrame(per_class).reindex(classes)
        shown.to_csv(temporary, index_label="class", float_format="%.4f")


def over_the_teacher(groups: Groups) -> dict[str, dict[str, float]]:
    """What each student of both networks gains over that of the teacher alone: nothing where none is.

    An assistant whose weights were not loaded is the control: where it gains, the log warns.

    Args:
        groups: the runs of each variant.

    Returns:
        OVER_TEACHER by variant.

    Raises:
        UserError: see `differences`.
    """
    taught = {
        name: (_taught(s.iloc[0][TEACHER]), _taught(s.iloc[0][ASSISTANT])) for name, s in groups.items()
    }
    alone = next((name for name, by in taught.items() if by == ("loaded", "none")), None)
    if alone is None:
        return {}
    both = {name: groups[name] for name, by in taught.items() if "none" not in by}
    found = comparisons(differences({**both, alone: groups[alone]}, alone))
    for name, row in found.items():
        if taught[name][1] == "random" and row["delta_low"] > 0:
            log.warning(
                "%s: an assistant without its weights gains %.1f points (at least %.1f) over %s: then what "
                "others gain need not be the assistant's either",
                name, row["delta"], row["delta_low"], alone,
            )  # fmt: skip
    return {name: {ours: row[theirs] for ours, theirs in OVER_TEACHER.items()} for name, row in found.items()}


def tabulate_networks(metrics: Mapping[str, Path], table_csv: Path) -> None:
    """Write a row for teacher and assistant: accuracies in percent, and what the gate says.

    Args:
        metrics: `metrics.json` of their heads by role.
        table_csv: table to write.
    """
    rows = []
    for role, path in metrics.items():
        run = json.loads(path.read_text(encoding="utf-8"))
        shown = ("network", "label", "fitted_on", "val_top1", "val_largest_class", "test_top1")
        gate = run["gate"]
        rows.append(
            {"role": role}
            | {name: run[name] for name in (*shown, "test_largest_class")}
            | {"margin": gate["margin"], "gate": gate["passed"], "reason": gate["reason"]}
        )
    with atomic(table_csv) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.4f")


def _row(
    name: str, seeds: pd.DataFrame, comparison: Mapping[str, Any], cost: Mapping[str, Any]
) -> dict[str, Any]:
    """The row of one variant."""
    first, mean = seeds.iloc[0], seeds["top1"].mean()
    low, high = wilson_percent(mean, first["n_clips"])
    row: dict[str, Any] = {
        "variant": name,
        TEACHER: _taught(first[TEACHER]),
        ASSISTANT: _taught(first[ASSISTANT]),
        "train_clips": first["train_clips"],
        "labelled_clips": first["labelled_clips"],
        "seeds": len(seeds),
        "clips": first["n_clips"],
        "top1": mean,
        "top1_std": seeds["top1"].std(),
        "low": low,
        "high": high,
        **{column: comparison.get(column, math.nan) for column in (*COMPARED, *OVER_TEACHER)},
    }
    for column in OVER_SEEDS:
        values = seeds.get(column, pd.Series(dtype=float)).astype(float)
        row |= {column: values.mean(), f"{column}_std": values.std()}
    row |= {name: seeds.get(name, pd.Series(dtype=float)).astype(float).mean() for name in LOSSES}
    shown = ("chance", "frames", "params", "gflops")
    gate = {"gate": all(gate["passed"] for gate in seeds["result_gate"])}
    return row | gate | {name: first[name] for name in shown} | {name: cost[name] for name in TIMES}


def _taught(weights: str) -> str:
    """What stands for a sum of weights in the table."""
    return weights if weights in ("none", "random") else "loaded"


def _frozen(
    name: str, metrics: Path, classes: Sequence[str], normal: str | None, cost: Mapping[str, Any]
) -> dict[str, Any]:
    """The row of the teacher or the assistant: there is one of each, whatever the seeds."""
    run = json.loads(metrics.read_text(encoding="utf-8"))
    found = figures(read_predictions(metrics.with_name("predictions.csv")), classes, normal)
    low, high = wilson_percent(found["top1"], found["n_clips"])
    shown = ("mean_class", "f1", "ap", "ap_anomaly", "chance", "per_class")
    return {
        "variant": name,
        "train_clips": run["fitted_on"],
        "labelled_clips": run["fitted_on"],
        "seeds": 1,
        "clips": found["n_clips"],
        "top1": found["top1"],
        "low": low,
        "high": high,
        **{column: found[column] for column in shown if column in found},
        **{column: cost[column] for column in ("frames", "params", "gflops", *TIMES)},
    }
