"""What fusion heads gain from each input: figures of each run, and the table that compares variants.

Every variant is compared with a baseline, such as the student alone, clip by clip and seed by seed: the same
test clips make both hard or easy, and a difference of two accuracies that are each uncertain may not be.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from vidkd.evaluate.paired import comparisons, differences, read_runs, seeds_more
from vidkd.evaluate.statistics import ratio_interval
from vidkd.methods.evaluate import Evaluated
from vidkd.methods.inputs import Inputs
from vidkd.methods.table_rows import accuracy_columns, mean_and_std

_COMPARED = (
    "delta_vs_student", "delta_vs_student_std", "delta_low", "delta_high", "p_vs_student", "p_holm",
    "gap_closed", "gap_low", "gap_high",
)  # fmt: skip
"""Columns that compare a variant with the baseline; the baseline's own are empty."""

_COLUMNS = {"delta": "delta_vs_student", "delta_std": "delta_vs_student_std", "p": "p_vs_student"}
"""What this table calls columns of a comparison, whose baseline is the student alone unless told."""


def figures(run: Evaluated) -> dict[str, Any]:
    """Say what goes into the head, how far its gates are open, and which trial validation chose."""
    config = run.config
    trial = config["trials"][config["trial"]]
    kinds = {name: source["kind"] for name, source in config["sources"].items()}
    return {
        "inputs": inputs_in_words(kinds, _converters(config)),
        "real_teachers": sum(kind == "real" for kind in kinds.values()),
        "gates": config["gates"],
        "trial": {**trial["values"], "val_top1": trial["val_top1"]},
    }


def _converters(config: Mapping[str, Any]) -> str:
    """The converters that features say they were made by; by hand these may be others than the settings'."""
    metas = [source.get("meta", {}) for source in config["sources"].values()]
    made = [json.loads(meta.get("preprocessing", "{}")).get("converter") for meta in metas]
    return " and ".join(sorted({name for name in made if name})) or config["settings"]["converter"]


def inputs_in_words(kinds: Mapping[str, str], converter: str) -> str:
    """Name what goes into a head: `vjepa2 + resampler(videomae, vivit)`, or `vjepa2 + real(videomae)`.

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


def tabulate(inputs: Inputs, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Make a row for each variant, in their order; accuracies, and differences of them, in percent.

    Args:
        inputs: `metrics.json` of each run, beside its `predictions.csv`.
        settings: `baseline`, the variant that the others are compared with.

    Raises:
        UserError: there is no run of the baseline, a variant has other seeds, clips or labels than it, or of
            its own runs two have one seed or other labels.
    """
    baseline = settings["baseline"]
    groups = read_runs(inputs.results("metrics"), "run", baseline)
    compared = differences(groups, baseline)
    columns = _comparisons(compared, _upper_bound(groups))
    gates = list(
        dict.fromkeys(name for seeds in groups.values() for found in seeds["gates"] for name in found)
    )
    return pd.DataFrame([_row(name, seeds, columns.get(name, {}), gates) for name, seeds in groups.items()])


def _upper_bound(groups: Mapping[str, pd.DataFrame]) -> str | None:
    """The variant that runs the most teachers themselves: what converters could reach at best."""
    teachers = {name: int(seeds.iloc[0]["real_teachers"]) for name, seeds in groups.items()}
    best = max(teachers, key=teachers.__getitem__)
    return best if teachers[best] else None


def _comparisons(compared: Mapping[str, pd.DataFrame], upper: str | None) -> dict[str, dict[str, Any]]:
    """The columns of each variant that compare it with the baseline."""
    found = {
        name: {_COLUMNS.get(column, column): value for column, value in row.items()}
        for name, row in comparisons(compared).items()
    }
    # Without a gap that is told from none there is no share of it.
    if upper in found and found[upper]["delta_low"] > 0:
        for name, row in found.items():
            row |= _share_of_gap(compared[name], compared[upper])
    return found


def _share_of_gap(one: pd.DataFrame, upper: pd.DataFrame) -> dict[str, float]:
    """How much of what the upper bound gains over the baseline a variant gains, in percent."""
    one, upper = one.align(upper, join="inner", axis="index")
    more, most = seeds_more(one), seeds_more(upper)
    low, high = ratio_interval(more, most)
    return {"gap_closed": 100 * more.mean() / most.mean(), "gap_low": 100 * low, "gap_high": 100 * high}


def _row(
    name: str, seeds: pd.DataFrame, comparison: Mapping[str, Any], gates: Sequence[str]
) -> dict[str, Any]:
    """The row of one variant."""
    first = seeds.iloc[0]
    opened = pd.DataFrame(list(seeds["gates"]), columns=list(gates), dtype=float).mean()
    return {
        "variant": name,
        "inputs": first["inputs"],
        "seeds": len(seeds),
        "clips": first["n_clips"],
        **accuracy_columns(seeds),
        "clips_compared": comparison.get("clips_compared", first["n_clips"]),
        **{name: comparison.get(name, math.nan) for name in _COMPARED},
        **mean_and_std(seeds, ["mean_class"]),
        "chance": first["chance"],
        "params": first["params"],
        **{f"gate_{teacher}": value for teacher, value in opened.items()},
    }
