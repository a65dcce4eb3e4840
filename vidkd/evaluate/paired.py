"""Variants compared with a baseline on the same test clips and seeds, whichever method they are of.

The same test clips make both hard or easy, and a difference of two accuracies that are each uncertain may not
be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidkd.artefacts import read_json
from vidkd.errors import UserError
from vidkd.evaluate.classes import read_predictions
from vidkd.evaluate.statistics import holm, mean_interval, sign_flip_p

Groups = Mapping[str, pd.DataFrame]
"""The runs of each variant: a row for each seed, from its `metrics.json`, with its `path`."""


def read_runs(metrics: Sequence[Path], name: str, baseline: str) -> dict[str, pd.DataFrame]:
    """Read the runs of each variant, in their order.

    Args:
        metrics: `metrics.json` of each run, beside its `predictions.csv`.
        name: of the entry that says the variant.
        baseline: the variant that the others are compared with.

    Raises:
        UserError: there is no run of the baseline.
    """
    runs = pd.DataFrame([read_json(p) | {"path": p} for p in metrics])
    groups = {str(variant): seeds for variant, seeds in runs.groupby(name, sort=False)}
    if baseline not in groups:
        raise UserError(
            f"no run is of the baseline {baseline}: give its metrics as well, or name one of "
            f"{', '.join(groups)}"
        )
    return groups


def differences(groups: Groups, baseline: str) -> dict[str, pd.DataFrame]:
    """Compare each variant with the baseline, by clip and seed: 1 if only it is right, -1 if only that is.

    Raises:
        UserError: a variant has other seeds, clips or labels than the baseline, or of its own runs two have
            one seed or other labels.
    """
    answers = {name: _answers(name, seeds) for name, seeds in groups.items()}
    return {
        name: _compared(name, of, baseline, answers[baseline])
        for name, of in answers.items()
        if name != baseline
    }


def comparisons(compared: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, Any]]:
    """Say what each variant gains, in points of top-1, between which ends (95%), and how surely.

    Args:
        compared: see `differences`.

    Returns:
        Of each variant `clips_compared, delta, delta_std, delta_low, delta_high, p, p_holm`.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, table in compared.items():
        more, percent = seeds_more(table), 100 / table.shape[1]
        low, high = (percent * end for end in mean_interval(more))
        found[name] = {
            "clips_compared": len(more),
            "delta": percent * more.mean(),
            "delta_std": 100 * table.mean().std(),
            "delta_low": low,
            "delta_high": high,
            "p": sign_flip_p(more),
        }
    adjusted = holm([row["p"] for row in found.values()])
    for row, p_holm in zip(found.values(), adjusted, strict=True):
        row["p_holm"] = p_holm
    return found


def seeds_more(difference: pd.DataFrame) -> NDArray[np.int64]:
    """Count for each clip how many more seeds of the one are right."""
    return difference.sum(axis="columns").to_numpy()


def _answers(name: str, seeds: pd.DataFrame) -> pd.DataFrame:
    """For each clip that all seeds have: its label, and for each seed whether it is right, 0 or 1."""
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
