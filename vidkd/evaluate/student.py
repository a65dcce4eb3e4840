"""What students gain from their teacher: figures of each run, and the tables of students and of teachers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vidkd.evaluate.classes import class_figures, class_gate, macro_f1, read_predictions, top_k_share
from vidkd.evaluate.paired import comparisons, differences, read_runs
from vidkd.evaluate.statistics import wilson_percent
from vidkd.evaluate.tables import read_table
from vidkd.files import atomic, write_text
from vidkd.methods.student.settings import TEACHER

COMPARED = ("delta", "delta_std", "delta_low", "delta_high", "p", "p_holm")
"""Columns that compare a variant with the baseline; the baseline's own and the teacher's are empty."""

OVER_SEEDS = ("top5", "mean_class", "f1", "agreement", "cosine")
"""Further figures, whose mean and deviation over seeds are columns."""

TIMES = ("ms_1", "ms_2")
"""Columns of the times, by the number of threads."""


def evaluate_student(predictions: Path, config_json: Path, efficiency: Path, metrics: Path) -> None:
    """Write `metrics.json` of one run; see measure.

    Raises:
        UserError: the predictions have no row.
    """
    table = read_predictions(predictions)
    config = json.loads(config_json.read_text(encoding="utf-8"))
    cost = json.loads(efficiency.read_text(encoding="utf-8"))
    write_text(metrics, json.dumps(measure(table, config, cost), indent=2) + "\n")


def measure(table: pd.DataFrame, config: Mapping[str, Any], cost: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of one run on the test split, accuracies in percent.

    Args:
        table: its predictions.
        config: its `config.json`.
        cost: its `efficiency.json`.
    """
    about = ("seed", "label", "teacher_view", "train_clips", "labelled_clips")
    return {
        "variant": f"student.{config['variant']}",
        "student": config["variant"],
        **{name: config[name] for name in about},
        **figures(table),
        "agreement": 100 * (table["pred"] == table["teacher_pred"]).mean(),
        "cosine": table["cosine"].mean() if "cosine" in table else None,
        "frames": config["settings"]["frames"],
        **cost,
        "result_gate": class_gate(table),
    }


def figures(table: pd.DataFrame) -> dict[str, Any]:
    """What is measured of students and teachers alike, in percent; top5 of more than five classes."""
    classes = sum(name.startswith("s_") for name in table.columns)
    top5 = top_k_share(table, 5) if classes > 5 else None
    return {**class_figures(table), "top5": top5, "f1": macro_f1(table)}


def tabulate(
    metrics: Sequence[Path], teacher: Path, latency_csv: Path, baseline: str, table_csv: Path
) -> None:
    """Write a row for each variant, in their order, and one for the teacher; accuracies in percent.

    Args:
        metrics: `metrics.json` of each run, beside its `predictions.csv`.
        teacher: `metrics.json` of the teacher, beside its `predictions.csv`.
        latency_csv: what each takes a clip.
        baseline: the variant that the others are compared with.
        table_csv: table to write.

    Raises:
        UserError: see `read_runs` and `differences`.
    """
    groups = read_runs(metrics, "student", baseline)
    compared = comparisons(differences(groups, baseline))
    latency = read_table(latency_csv).set_index("variant")
    times = {str(name): {column: row[column] for column in TIMES} for name, row in latency.iterrows()}
    rows = [_row(name, seeds, compared.get(name, {}), times[name]) for name, seeds in groups.items()]
    rows.append(_teacher_row(teacher, times[TEACHER]))
    with atomic(table_csv) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.4f")


def tabulate_teachers(metrics: Sequence[Path], table_csv: Path) -> None:
    """Write a row for each label and head of the teacher: accuracies in percent, and what the gate says.

    Args:
        metrics: `metrics.json` of each label.
        table_csv: table to write.
    """
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in metrics]
    rows = [_head_row(run, head) for run in runs for head in run["gates"]]
    with atomic(table_csv) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.4f")


def _head_row(run: Mapping[str, Any], head: str) -> dict[str, Any]:
    """The row of one head of the teacher, for one label."""
    gate = run["gates"][head]
    return {
        "teacher": run["teacher"],
        "label": run["label"],
        "head": head,
        "used": head == run["head"],
        "fitted_on": run["fitted_on"],
        "val_top1": run[f"val_{head}"],
        "val_largest_class": run["val_largest_class"],
        "test_top1": run[f"test_{head}"],
        "test_largest_class": run["test_largest_class"],
        "margin": gate["margin"],
        "gate": gate["passed"],
        "reason": gate["reason"],
    }


def _row(
    name: str, seeds: pd.DataFrame, comparison: Mapping[str, Any], times: Mapping[str, Any]
) -> dict[str, Any]:
    """The row of one variant."""
    first, mean = seeds.iloc[0], seeds["top1"].mean()
    low, high = wilson_percent(mean, first["n_clips"])
    row: dict[str, Any] = {
        "variant": name,
        "teacher_view": first["teacher_view"],
        "train_clips": first["train_clips"],
        "labelled_clips": first["labelled_clips"],
        "seeds": len(seeds),
        "clips": first["n_clips"],
        "top1": mean,
        "top1_std": seeds["top1"].std(),
        "low": low,
        "high": high,
        **{column: comparison.get(column, math.nan) for column in COMPARED},
    }
    for column in OVER_SEEDS:
        values = seeds[column].astype(float)
        row |= {column: values.mean(), f"{column}_std": values.std()}
    return row | {
        "chance": first["chance"],
        "frames": first["frames"],
        "params": first["params"],
        "gflops": first["gflops"],
        **times,
    }


def _teacher_row(metrics: Path, times: Mapping[str, Any]) -> dict[str, Any]:
    """The row of the teacher: there is one of it, whatever the seeds."""
    run = json.loads(metrics.read_text(encoding="utf-8"))
    found = figures(read_predictions(metrics.with_name("predictions.csv")))
    low, high = wilson_percent(found["top1"], found["n_clips"])
    return {
        "variant": TEACHER,
        "teacher_view": "itself",
        "train_clips": run["fitted_on"],
        "labelled_clips": run["fitted_on"],
        "seeds": 1,
        "clips": found["n_clips"],
        "top1": found["top1"],
        "low": low,
        "high": high,
        **{name: found[name] for name in ("top5", "mean_class", "f1", "chance")},
        "agreement": 100.0,
        "cosine": 1.0,
        "frames": run["frames"],
        "params": run["params"],
        "gflops": run["gflops"],
        **times,
    }
