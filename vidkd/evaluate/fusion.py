"""What fusion heads gain from each input: figures of each run, and the table that compares variants.

Every variant is compared with a baseline, such as the student alone, clip by clip and seed by seed: the same
test clips make both hard or easy, and a difference of two accuracies that are each uncertain may not be.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidkd.errors import UserError
from vidkd.evaluate.classes import class_figures, class_gate, read_predictions
from vidkd.evaluate.statistics import holm, mean_interval, ratio_interval, sign_flip_p, wilson_percent
from vidkd.files import atomic, write_text

COMPARED = (
    "delta_vs_student", "delta_vs_student_std", "delta_low", "delta_high", "p_vs_student", "p_holm",
    "gap_closed", "gap_low", "gap_high",
)  # fmt: skip
"""Columns that compare a variant with the baseline; the baseline's own are empty."""


def evaluate_fusion(predictions: Path, config_json: Path, metrics: Path) -> None:
    """Write `metrics.json` of one run; see measure.

    Raises:
        UserError: the predictions have no row.
    """
    table = read_predictions(predictions)
    config = json.loads(config_json.read_text(encoding="utf-8"))
    write_text(metrics, json.dumps(measure(table, config), indent=2) + "\n")


def measure(table: pd.DataFrame, config: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of one run on the test split, accuracies in percent.

    Args:
        table: its predictions.
        config: its `config.json`.
    """
    trial = config["trials"][config["trial"]]
    kinds = {name: source["kind"] for name, source in config["sources"].items()}
    return {
        "variant": f"fusion.{config['fusion']}",
        "fusion": config["fusion"],
        "seed": config["seed"],
        "inputs": inputs_in_words(kinds, _converters(config)),
        "real_teachers": sum(kind == "real" for kind in kinds.values()),
        "params": config["params"],
        **class_figures(table),
        "gates": config["gates"],
        "trial": {**trial["values"], "val_top1": trial["val_top1"]},
        "result_gate": class_gate(table),
    }


def _converters(config: Mapping[str, Any]) -> str:
    """The converters that features say they were made by; by hand these may be others than the settings'."""
    metas = [source.get("meta", {}) for source in config["sources"].values()]
    made = [json.loads(meta.get("preprocessing", "{}")).get("converter") for meta in metas]
    return " and ".join(sorted({name for name in made if name})) or config["settings"]["converter"]


def inputs_in_words(kinds: Mapping[str, str], converter: str) -> str:
    """What goes into a head, such as `vjepa2 + resampler(videomae, vivit)` or `vjepa2 + real(videomae)`.

    Args:
        kinds: student, real, converted or finetuned, by name of the backbone.
        converter: name of the converters.
    """
    words = {"real": "real", "converted": converter, "finetuned": f"finetuned {converter}"}
    parts = [name for name, kind in kinds.items() if kind == "student"]
    for kind, word in words.items():
        if names := [name for name, of in kinds.items() if of == kind]:
            parts.append(f"{word}({', '.join(names)})")
    return " + ".join(parts)


def tabulate(metrics: Sequence[Path], baseline: str, table_csv: Path) -> None:
    """Write a row for each variant, in their order; accuracies, and differences of them, in percent.

    Args:
        metrics: `metrics.json` of each run, beside its `predictions.csv`.
        baseline: the variant that the others are compared with.
        table_csv: table to write.

    Raises:
        UserError: there is no run of the baseline, a variant has other seeds, clips or labels than it, or of
            its own runs two have one seed or other labels.
    """
    runs = pd.DataFrame([json.loads(p.read_text(encoding="utf-8")) | {"path": p} for p in metrics])
    groups = {str(name): seeds for name, seeds in runs.groupby("fusion", sort=False)}
    if baseline not in groups:
        raise UserError(
            f"no run is of the baseline {baseline}: give its metrics as well, or name one of "
            f"{', '.join(groups)}"
        )
    answers = {name: _answers(seeds) for name, seeds in groups.items()}
    compared = {
        name: _compared(name, of, baseline, answers[baseline])
        for name, of in answers.items()
        if name != baseline
    }
    columns = _comparisons(compared, _upper_bound(groups))
    gates = list(dict.fromkeys(name for found in runs["gates"] for name in found))
    rows = [_row(name, seeds, columns.get(name, {}), gates) for name, seeds in groups.items()]
    with atomic(table_csv) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.4f")


def _answers(seeds: pd.DataFrame) -> pd.DataFrame:
    """For each clip that all seeds have: its label, and for each seed whether it is right, 0 or 1."""
    name = seeds["fusion"].iloc[0]
    if (twice := seeds["seed"].duplicated()).any():
        raise UserError(f"two runs of {name} have seed {seeds['seed'][twice].iloc[0]}: give each run once")
    tables = {
        seed: read_predictions(path.with_name("predictions.csv")).set_index("video_id")
        for seed, path in zip(seeds["seed"], seeds["path"], strict=True)
    }
    columns: dict[Any, pd.Series] = {
        seed: (table["pred"] == table["label_id"]).astype(np.int64) for seed, table in tables.items()
    }
    labels = pd.DataFrame({seed: table["label_id"] for seed, table in tables.items()}).dropna()
    if len(wrong := labels.index[labels.nunique(axis="columns") > 1]):
        raise UserError(
            f"video {wrong[0]!r} has not the same label in the predictions of every seed of {name}: delete "
            "the older ones and run again"
        )
    columns["label_id"] = labels.iloc[:, 0]
    return pd.DataFrame(columns).dropna().astype(np.int64).sort_index()


def _compared(name: str, one: pd.DataFrame, baseline: str, other: pd.DataFrame) -> pd.DataFrame:
    """For each clip that both have and each seed: 1 if only the one is right, -1 if only the other is."""
    if set(one) != set(other):
        raise UserError(
            f"{name} has the seeds {_seeds(one)} and the baseline {baseline} {_seeds(other)}: they are "
            "compared seed by seed; give the same of both"
        )
    one, other = one.align(other, join="inner", axis="index")
    if one.empty:
        raise UserError(f"{name} and the baseline {baseline} have no test clip in common")
    if len(wrong := one.index[one["label_id"] != other["label_id"]]):
        raise UserError(
            f"video {wrong[0]!r} has another label in the predictions of {name} than in those of {baseline}: "
            "delete the older ones and run again"
        )
    return (one - other).drop(columns="label_id")


def _seeds(answers: pd.DataFrame) -> str:
    return ", ".join(str(name) for name in answers if name != "label_id")


def _upper_bound(groups: Mapping[str, pd.DataFrame]) -> str | None:
    """The variant that runs the most teachers themselves: what converters could reach at best."""
    teachers = {name: int(seeds.iloc[0]["real_teachers"]) for name, seeds in groups.items()}
    best = max(teachers, key=teachers.__getitem__)
    return best if teachers[best] else None


def _comparisons(compared: Mapping[str, pd.DataFrame], upper: str | None) -> dict[str, dict[str, Any]]:
    """The columns of each variant that compare it with the baseline."""
    found: dict[str, dict[str, Any]] = {}
    for name, table in compared.items():
        more, percent = _seeds_more(table), 100 / table.shape[1]
        low, high = (percent * end for end in mean_interval(more))
        found[name] = {
            "clips_compared": len(more),
            "delta_vs_student": percent * more.mean(),
            "delta_vs_student_std": 100 * table.mean().std(),
            "delta_low": low,
            "delta_high": high,
            "p_vs_student": sign_flip_p(more),
        }
    adjusted = holm([row["p_vs_student"] for row in found.values()])
    for row, p_holm in zip(found.values(), adjusted, strict=True):
        row["p_holm"] = p_holm
    # Without a gap that is told from none there is no share of it.
    if upper in found and found[upper]["delta_low"] > 0:
        for name, row in found.items():
            row |= _share_of_gap(compared[name], compared[upper])
    return found


def _share_of_gap(one: pd.DataFrame, upper: pd.DataFrame) -> dict[str, float]:
    """How much of what the upper bound gains over the baseline a variant gains, in percent."""
    one, upper = one.align(upper, join="inner", axis="index")
    more, most = _seeds_more(one), _seeds_more(upper)
    low, high = ratio_interval(more, most)
    return {"gap_closed": 100 * more.mean() / most.mean(), "gap_low": 100 * low, "gap_high": 100 * high}


def _seeds_more(difference: pd.DataFrame) -> NDArray[np.int64]:
    """For each clip, how many more seeds of the one are right."""
    return difference.sum(axis="columns").to_numpy()


def _row(
    name: str, seeds: pd.DataFrame, comparison: Mapping[str, Any], gates: Sequence[str]
) -> dict[str, Any]:
    """The row of one variant."""
    first, mean = seeds.iloc[0], seeds["top1"].mean()
    low, high = wilson_percent(mean, first["n_clips"])
    opened = pd.DataFrame(list(seeds["gates"]), columns=list(gates), dtype=float).mean()
    return {
        "variant": name,
        "inputs": first["inputs"],
        "seeds": len(seeds),
        "clips": first["n_clips"],
        "top1": mean,
        "top1_std": seeds["top1"].std(),
        "low": low,
        "high": high,
        "clips_compared": comparison.get("clips_compared", first["n_clips"]),
        **{name: comparison.get(name, math.nan) for name in COMPARED},
        "mean_class": seeds["mean_class"].mean(),
        "mean_class_std": seeds["mean_class"].std(),
        "chance": first["chance"],
        "params": first["params"],
        **{f"gate_{teacher}": value for teacher, value in opened.items()},
    }
