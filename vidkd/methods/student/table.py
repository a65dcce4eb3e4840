"""What students gain from their teacher: figures of each run, and the tables of students and of teachers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from vidkd.evaluate.paired import comparisons, differences, read_runs
from vidkd.evaluate.statistics import wilson_percent
from vidkd.evaluate.tables import read_table
from vidkd.methods.evaluate import Evaluated
from vidkd.methods.inputs import Inputs
from vidkd.methods.student.settings import TEACHER
from vidkd.methods.teacher_table import head_rows

COMPARED = ("delta", "delta_std", "delta_low", "delta_high", "p", "p_holm")
"""Columns that compare a variant with the baseline; the baseline's own and the teacher's are empty."""

OVER_SEEDS = ("top5", "mean_class", "f1", "agreement", "cosine")
"""Further figures, whose mean and deviation over seeds are columns."""

TIMES = ("ms_1", "ms_2")
"""Columns of the times, by the number of threads."""


def figures(run: Evaluated) -> dict[str, Any]:
    """Measure how like its teacher a student is; agreement is in percent."""
    table, config = run.table, run.config
    about = ("label", "teacher_view", "train_clips", "labelled_clips")
    return {
        **{name: config[name] for name in about},
        "agreement": 100 * (table["pred"] == table["teacher_pred"]).mean(),
        "cosine": table["cosine"].mean() if "cosine" in table else None,
        "frames": config["settings"]["frames"],
    }


def tabulate(inputs: Inputs, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Make a row for each variant, in their order, and one for the teacher; accuracies are in percent.

    Args:
        inputs: `metrics` of each run, beside its `predictions.csv`, and of the `teacher`; `latency`.
        settings: the `baseline`, which the other variants are compared with.

    Raises:
        UserError: see `read_runs` and `differences`.
    """
    baseline = settings["baseline"]
    groups = read_runs(inputs.results("metrics"), "run", baseline)
    compared = comparisons(differences(groups, baseline))
    costs = read_table(inputs.result("latency")).set_index("variant")
    teacher = json.loads(inputs.result("teacher").read_text(encoding="utf-8"))
    rows = [_row(name, seeds, compared.get(name, {}), costs) for name, seeds in groups.items()]
    return pd.DataFrame([*rows, _teacher_row(teacher, costs)])


def tabulate_teachers(inputs: Inputs, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Make a row for each label and head of the teacher."""
    rows = [row for metrics in inputs.results("metrics") for row in head_rows(metrics)]
    return pd.DataFrame(rows).rename(columns={"network": "teacher"})


def _row(
    name: str, seeds: pd.DataFrame, comparison: Mapping[str, Any], costs: pd.DataFrame
) -> dict[str, Any]:
    """Make the row of one variant."""
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
        **{column: costs.at[name, column] for column in TIMES},
    }


def _teacher_row(run: Mapping[str, Any], costs: pd.DataFrame) -> dict[str, Any]:
    """Make the row of the teacher: there is one of it, whatever the seeds."""
    low, high = wilson_percent(run["top1"], run["n_clips"])
    return {
        "variant": TEACHER,
        "teacher_view": "itself",
        "train_clips": run["fitted_on"],
        "labelled_clips": run["fitted_on"],
        "seeds": 1,
        "clips": run["n_clips"],
        "top1": run["top1"],
        "low": low,
        "high": high,
        **{name: run[name] for name in ("top5", "mean_class", "f1", "chance")},
        "agreement": 100.0,
        "cosine": 1.0,
        **{name: costs.at[TEACHER, name] for name in ("frames", "params", "gflops", *TIMES)},
    }
