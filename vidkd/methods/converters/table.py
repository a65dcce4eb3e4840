"""The table of the quality of all converters, from the figures of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from vidkd.artefacts import read_json
from vidkd.methods.inputs import Inputs

_KEYS = ["converter", "teacher"]

COLUMNS = (
    "r2", "r2_mean_feature", "cosine", "cosine_mean_feature", "cka", "cka_student", "retrieval_top1",
    "retrieval_chance", "probe_top1", "probe_top1_real", "probe_chance",
)  # fmt: skip

_OVER_SEEDS = ("r2", "cosine", "cka", "retrieval_top1", "probe_top1")
"""Figures that differ between seeds."""


def tabulate(inputs: Inputs, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Make a row for each split, converter and teacher, in their order in the metrics: test first."""
    runs = [read_json(path) for path in inputs.results("metrics")]
    flat = pd.DataFrame(
        [run | run["splits"][split] | {"split": split} for split in runs[0]["splits"] for run in runs]
    )
    return pd.DataFrame([_row(group) for _, group in flat.groupby(["split", *_KEYS], sort=False)])


def _row(seeds: pd.DataFrame) -> dict[str, Any]:
    """The row of one split, converter and teacher."""
    first = seeds.iloc[0]
    row = {name: first[name] for name in (*_KEYS, "split")}
    row |= {"seeds": len(seeds), "clips": first["n_clips"]}
    for name in COLUMNS:
        values = seeds[name].astype(float)
        row[name] = values.mean()
        if name in _OVER_SEEDS:
            row[f"{name}_std"] = values.std()
    return row | {"params": first["params"]}
