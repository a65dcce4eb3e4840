"""All runs of all methods side by side: figures of the test split, of each class, and what a clip costs.

The same figures for every method, from its predictions alone. A run lies in `METHOD/VARIANT/seedK/`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vidkd.data.tables import read_classes
from vidkd.evaluate.classes import (
    average_precision,
    calibration_error,
    class_figures,
    macro_f1,
    per_class,
    read_predictions,
    reported_count,
    top_k_share,
    weighted_f1,
)
from vidkd.evaluate.paired import Groups, differences, seeds_more
from vidkd.evaluate.statistics import bootstrap_p, holm, mcnemar_p, mean_interval
from vidkd.evaluate.tables import read_table

FIGURES = ("top1", "top5", "mean_class", "f1", "f1_weighted", "ap", "ece")
"""Figures of a run in percent, whose mean and deviation over seeds are columns."""

COMPARED = ("baseline", "delta", "delta_low", "delta_high", "p_mcnemar", "p_bootstrap", "p_holm")
"""Columns that compare a variant with the baseline of its method; the baseline's own are empty."""


def group_runs(metrics: Sequence[Path]) -> dict[str, dict[str, pd.DataFrame]]:
    """Method → variant → its runs, a row for each seed with its `path`, in the order of the files."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for path in metrics:
        method, variant = path.parts[-4:-2]
        run = json.loads(path.read_text(encoding="utf-8")) | {"path": path}
        found.setdefault(method, {}).setdefault(variant, []).append(run)
    return {
        method: {variant: pd.DataFrame(runs) for variant, runs in variants.items()}
        for method, variants in found.items()
    }


def summarise(runs: Mapping[str, Groups], baselines: Mapping[str, str]) -> pd.DataFrame:
    """A row for each variant of each method.

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
    """A row for each class of each variant: precision, recall and F1 in percent, mean over seeds."""
    parts = []
    for method, groups in runs.items():
        classes = read_classes(classes_json[method])
        for name, seeds in groups.items():
            tables = [per_class(_predictions(path), len(classes)) for path in seeds["path"]]
            mean = pd.concat(tables).groupby(level=0).mean().astype({"clips": int})
            mean.insert(0, "class", list(classes))
            mean.insert(0, "variant", name)
            mean.insert(0, "method", method)
            parts.append(mean)
    return pd.concat(parts, ignore_index=True)


def tabulate_costs(latency_csv: Mapping[str, Path], summary: pd.DataFrame) -> pd.DataFrame:
    """A row for whatever a clip was timed through, by method, with its top-1 where it is a variant.

    Args:
        latency_csv: by method; its first column is the variant, or the part.
        summary: see `summarise`.
    """
    parts = []
    for method, path in latency_csv.items():
        table = read_table(path)
        table = table.rename(columns={str(table.columns[0]): "variant"}).drop(
            columns="relative", errors="ignore"
        )
        table.insert(0, "method", method)
        parts.append(table)
    top1 = summary[["method", "variant", "top1"]]
    return pd.concat(parts, ignore_index=True).merge(top1, how="left", on=["method", "variant"])


def tabulate_gates(metrics: Sequence[Path]) -> pd.DataFrame:
    """A row for each run: whether it is told from a constant answer, and what is said of it if not."""
    rows = []
    for path in metrics:
        run = json.loads(path.read_text(encoding="utf-8"))
        method, variant, seed = path.parts[-4:-1]
        gate = run["result_gate"]
        row = {"method": method, "variant": variant, "seed": int(seed.removeprefix("seed"))}
        rows.append(row | {"passed": gate["passed"], "reason": gate["reason"]})
    return pd.DataFrame(rows)


def figures(table: pd.DataFrame) -> dict[str, float | None]:
    """FIGURES of one run, in percent; None without scores, and top5 of five classes or fewer."""
    classes = sum(name.startswith("s_") for name in table.columns)
    shares = class_figures(table)
    return {
        "top1": shares["top1"],
        "top5": top_k_share(table, 5) if classes > 5 else None,
        "mean_class": shares["mean_class"],
        "f1": macro_f1(table),
        "f1_weighted": weighted_f1(table),
        "ap": average_precision(table),
        "ece": calibration_error(table),
    }


def _row(seeds: pd.DataFrame) -> dict[str, Any]:
    """The row of one variant; its interval is of the mean over seeds, by a bootstrap over clips."""
    tables = [_predictions(path) for path in seeds["path"]]
    found = pd.DataFrame([figures(table) for table in tables], columns=list(FIGURES), dtype=float)
    answers = [table["pred"].eq(table["label_id"]).set_axis(table["video_id"]) for table in tables]
    right_N = pd.concat(answers, axis="columns").dropna().sum(axis="columns").to_numpy(dtype=np.int64)
    low, high = (100 * end / len(tables) for end in mean_interval(right_N))
    row: dict[str, Any] = {"seeds": len(seeds), "clips": len(right_N), "frames": _frames(seeds.iloc[0])}
    for name in FIGURES:
        row |= {name: found[name].mean(), f"{name}_std": found[name].std()}
        row |= {"low": low, "high": high} if name == "top1" else {}
    row["chance"] = class_figures(tables[0])["chance"]
    return row | {"gate": all(gate["passed"] for gate in seeds["result_gate"])}


def _compared(groups: Groups, baseline: str | None) -> dict[str, dict[str, Any]]:
    """The columns COMPARED of each variant but the baseline."""
    if baseline is None or baseline not in groups:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for name, table in differences(groups, baseline).items():
        more, percent = seeds_more(table), 100 / table.shape[1]
        low, high = (percent * end for end in mean_interval(more))
        found[name] = {
            "baseline": baseline,
            "delta": percent * more.mean(),
            "delta_low": low,
            "delta_high": high,
            "p_mcnemar": mcnemar_p(more),
            "p_bootstrap": bootstrap_p(more),
        }
    adjusted = holm([row["p_mcnemar"] for row in found.values()])
    for row, p_holm in zip(found.values(), adjusted, strict=True):
        row["p_holm"] = p_holm
    return found


def _predictions(metrics: Path) -> pd.DataFrame:
    return read_predictions(metrics.with_name("predictions.csv"))


def _frames(run: pd.Series) -> float:
    """Frames of a clip that the figures are of; empty where features were cached."""
    if "accuracy" in run:
        header = pd.read_csv(run["path"].with_name("predictions.csv"), nrows=0)
        return reported_count(header) or math.nan
    return run.get("frames", math.nan)
