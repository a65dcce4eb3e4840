"""Rows of tables: of trained variants, of the frozen networks that teach them, and of the heads of these."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vidkd.artefacts import read_json
from vidkd.evaluate.statistics import wilson_percent
from vidkd.evaluate.tables import read_table

COMPARED = ("delta", "delta_std", "delta_low", "delta_high", "p", "p_holm")
"""Columns that compare a student with the baseline; the baseline's own and the teachers' are empty."""

TIMES = ("ms_1", "ms_2")
"""Columns of the times, by the number of threads."""


def head_rows(metrics: Path) -> list[dict[str, Any]]:
    """Make a row for each head of a network: accuracies in percent, and the answer of the gate."""
    run = read_json(metrics)
    return [
        {
            "network": run["network"],
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
        for head, gate in run["gates"].items()
    ]


def read_costs(latency: Path) -> dict[str, Mapping[Hashable, Any]]:
    """Read what a clip costs each network, by name."""
    return {row["variant"]: row for row in read_table(latency).to_dict("records")}


def student_row(
    name: str,
    seeds: pd.DataFrame,
    cost: Mapping[Hashable, Any],
    comparison: Mapping[str, Any],
    *,
    about: Mapping[str, Any],
    over_seeds: Sequence[str],
    compared: Sequence[str] = COMPARED,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make the row of one variant.

    Args:
        name: of the variant.
        seeds: a row for each of its runs, see `read_runs`.
        cost: of a clip.
        comparison: of the variant with others; the baseline has none.
        about: columns that say who teaches it.
        over_seeds: figures whose mean and deviation over seeds are columns.
        compared: columns of the comparison.
        more: further columns, before those of size and cost.
    """
    first = seeds.iloc[0]
    row: dict[str, Any] = {
        "variant": name,
        **about,
        "train_clips": first["train_clips"],
        "labelled_clips": first["labelled_clips"],
        "seeds": len(seeds),
        "clips": first["n_clips"],
        **accuracy_columns(seeds),
        **{column: comparison.get(column, math.nan) for column in compared},
        **mean_and_std(seeds, over_seeds),
    }
    shown = {column: first[column] for column in ("chance", "frames", "params", "gflops")}
    return row | dict(more or {}) | shown | {column: cost[column] for column in TIMES}


def accuracy_columns(seeds: pd.DataFrame) -> dict[str, Any]:
    """Make the columns `top1, top1_std, low, high`: the interval covers other clips, not other seeds."""
    low, high = wilson_percent(seeds["top1"].mean(), seeds.iloc[0]["n_clips"])
    return {**mean_and_std(seeds, ["top1"]), "low": low, "high": high}


def mean_and_std(seeds: pd.DataFrame, columns: Iterable[str]) -> dict[str, float]:
    """Make two columns of each figure, its mean and its deviation over seeds."""
    found: dict[str, float] = {}
    for column in columns:
        values = numbers(seeds, column)
        found |= {column: values.mean(), f"{column}_std": values.std()}
    return found


def numbers(seeds: pd.DataFrame, column: str) -> pd.Series:
    """Give a figure of each run as numbers: none where the runs do not have it."""
    return seeds.get(column, pd.Series(dtype=float)).astype(float)


def teacher_row(
    name: str, run: Mapping[str, Any], cost: Mapping[Hashable, Any], figures: Sequence[str]
) -> dict[str, Any]:
    """Make the row of a frozen network in columns of `student_row`: there is one of it, whatever the seeds.

    Args:
        name: its role.
        run: its `metrics.json`.
        cost: of a clip.
        figures: further ones that are columns.
    """
    low, high = wilson_percent(run["top1"], run["n_clips"])
    return {
        "variant": name,
        "train_clips": run["fitted_on"],
        "labelled_clips": run["fitted_on"],
        "seeds": 1,
        "clips": run["n_clips"],
        "top1": run["top1"],
        "low": low,
        "high": high,
        **{column: run[column] for column in (*figures, "chance")},
        **{column: cost[column] for column in ("frames", "params", "gflops", *TIMES)},
    }
