"""All runs of all methods side by side: figures of the test split, of each class, and what a clip costs.

Figures of a run are those of its `metrics.json`; intervals and comparisons need the clips, which are in the
`predictions.csv` beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vidkd.artefacts import read_json
from vidkd.data.tables import read_classes
from vidkd.evaluate.classes import per_class, read_predictions
from vidkd.evaluate.paired import Groups, comparisons, differences, seeds_more
from vidkd.evaluate.statistics import bootstrap_p, mcnemar_p, mean_interval, wilson_percent
from vidkd.evaluate.tables import read_table

_FIGURES = ("top1", "top5", "mean_class", "f1", "f1_weighted", "ap", "ece")
"""Figures of `metrics.json` in percent, whose mean and deviation over seeds are columns."""

COMPARED = (
    "baseline", "delta", "delta_std", "delta_low", "delta_high", "p", "p_holm", "p_mcnemar", "p_bootstrap",
)  # fmt: skip
"""Columns that compare a variant with the baseline of its method; the baseline's own are empty."""


def group_runs(metrics: Sequence[Path]) -> dict[str, dict[str, pd.DataFrame]]:
    """Group runs by method and variant: a row for each seed with its `path`, in the order of the files."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for run in _read(metrics):
        found.setdefault(run["method"], {}).setdefault(run["run"], []).append(run)
    return {
        method: {variant: pd.DataFrame(runs) for variant, runs in variants.items()}
        for method, variants in found.items()
    }


def summarise(runs: Mapping[str, Groups], baselines: Mapping[str, str]) -> pd.DataFrame:
    """Make a row for each variant of each method.

    Args:
        runs: see `group_runs`.
        baselines: of a method the variant that its others are compared with; without one nothing is compared.

    Raises:
        UserError: see `differences`.
    """
    rows = []
    for method, groups in runs.items():
        compared = _compared(groups, baselines.get(method))
        rows += [
            {"method": method, "variant": name, **_row(seeds), **compared.get(name, {})}
            for name, seeds in groups.items()
        ]
    columns = [name for name in COMPARED if any(name in row for row in rows)]
    table = pd.DataFrame(rows)
    last = [*columns, "gate"]
    return table[[name for name in table if name not in last] + last]


def tabulate_classes(runs: Mapping[str, Groups], classes_json: Mapping[str, Path]) -> pd.DataFrame:
    """Make a row for each class of each variant: precision, recall and F1 in percent, mean over seeds."""
    parts = []
    for method, groups in runs.items():
        classes = read_classes(classes_json[method])
        for name, seeds in groups.items():
            tables = _of_common_clips([_predictions(path) for path in seeds["path"]])
            each = pd.concat([per_class(table, len(classes)) for table in tables]).groupby(level=0)
            # Empty unless every seed has a value: a class that one seed predicts has no mean precision.
            mean = each.mean().where(each.count() == len(tables)).astype({"clips": int})
            mean.insert(0, "class", list(classes))
            mean.insert(0, "variant", name)
            mean.insert(0, "method", method)
            parts.append(mean)
    return pd.concat(parts, ignore_index=True)


def tabulate_costs(latency_csv: Mapping[str, Path], summary: pd.DataFrame) -> pd.DataFrame:
    """Make a row for whatever a clip was timed through, by method, with its top-1 where it is a variant.

    Args:
        latency_csv: by method; its first column is the variant.
        summary: see `summarise`.
    """
    parts = [read_table(path).assign(method=method) for method, path in latency_csv.items()]
    table = pd.concat(parts, ignore_index=True)
    table.insert(0, "method", table.pop("method"))
    return table.merge(summary[["method", "variant", "top1"]], how="left", on=["method", "variant"])


def tabulate_gates(metrics: Sequence[Path]) -> pd.DataFrame:
    """Make a row for each run: whether it is told from a constant answer, and what is said of it if not."""
    rows = [
        {"method": run["method"], "variant": run["run"], "seed": run["seed"], **run["result_gate"]}
        for run in _read(metrics)
    ]
    return pd.DataFrame(rows, columns=["method", "variant", "seed", "passed", "reason"])


def _row(seeds: pd.DataFrame) -> dict[str, Any]:
    """The row of one variant; the interval is of the clips that all seeds have.

    `low` and `high` are Wilson's for the mean over seeds, `bootstrap_low` and `bootstrap_high` the same by a
    bootstrap over clips, which has no width where every clip is right.
    """
    tables = [_predictions(path) for path in seeds["path"]]
    answers = [table["pred"].eq(table["label_id"]).set_axis(table["video_id"]) for table in tables]
    right_N = pd.concat(answers, axis="columns").dropna().sum(axis="columns").to_numpy(dtype=np.int64)
    resampled = [100 * end / len(tables) for end in mean_interval(right_N)]
    ends = [*wilson_percent(100 * right_N.mean() / len(tables), len(right_N)), *resampled]
    interval = dict(zip(("low", "high", "bootstrap_low", "bootstrap_high"), ends, strict=True))
    first = seeds.iloc[0]
    row: dict[str, Any] = {
        "seeds": len(seeds), "clips": len(right_N), "frames": first.get("frames", math.nan)
    }  # fmt: skip
    for name in _FIGURES:
        values = seeds[name].astype(float)
        row |= {name: values.mean(), f"{name}_std": values.std()}
        row |= interval if name == "top1" else {}
    return row | {"chance": first["chance"], "gate": all(gate["passed"] for gate in seeds["result_gate"])}


def _compared(groups: Groups, baseline: str | None) -> dict[str, dict[str, Any]]:
    """The columns COMPARED of each variant but the baseline."""
    if baseline is None or baseline not in groups:
        return {}
    tables = differences(groups, baseline)
    return {
        name: row | {"baseline": baseline} | {"p_mcnemar": mcnemar_p(more), "p_bootstrap": bootstrap_p(more)}
        for name, row in comparisons(tables).items()
        for more in [seeds_more(tables[name])]
    }


def _of_common_clips(tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """The rows of the clips that all tables have."""
    common = set.intersection(*(set(table["video_id"]) for table in tables))
    return [table[table["video_id"].isin(common)] for table in tables]


def _predictions(metrics: Path) -> pd.DataFrame:
    return read_predictions(metrics.with_name("predictions.csv"))


def _read(metrics: Sequence[Path]) -> list[dict[str, Any]]:
    return [read_json(path) | {"path": path} for path in metrics]
