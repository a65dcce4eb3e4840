"""Figures of any classifier from its predictions: `video_id, label_id, pred, s_0, …`, a row for each clip."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidkd.errors import UserError
from vidkd.evaluate.tables import read_csv

BINS = 15
"""Of confidence, in the calibration error, as in Guo et al. 2017."""

_BY_COUNT = re.compile(r"^(?:pred_(\d+)f|s(\d+)_0)$")
"""Columns of predictions at several frame counts."""


def read_predictions(predictions: Path) -> pd.DataFrame:
    """Read the predictions of one run; video ids are text, even `007` and `nan`.

    Of predictions at several frame counts (FFN's: `pred_16f, s16_0, …`) those at one, see `reported_count`.

    Raises:
        UserError: there is no such file, or they have no row, or no prediction.
    """
    if not predictions.is_file():
        raise UserError(f"there is no file {predictions}: give the predictions.csv of a run")
    table = read_csv(predictions, ["label_id"], converters={"video_id": str})
    if table.filter(regex=r"^(s\d*_\d+|pred.*)$").isna().any(axis=None):
        raise UserError(f"{predictions} has predictions that are empty or NaN: delete it and run again.")
    if table.empty:
        raise UserError(f"{predictions} has no predictions: delete it and run again.")
    if "pred" in table:
        return table
    count = reported_count(table)
    if count is None:
        raise UserError(f"{predictions} has no column of predictions: delete it and run again.")
    own = {f"pred_{count}f": "pred"}
    own |= {name: f"s_{name.partition('_')[2]}" for name in table.columns if name.startswith(f"s{count}_")}
    return table[["video_id", "label_id", *own]].rename(columns=own)


def reported_count(table: pd.DataFrame) -> int | None:
    """Find the largest frame count with scores, else with predictions; None where there is one count."""
    found = [match for name in table.columns if (match := _BY_COUNT.match(name))]
    scored = [int(match[2]) for match in found if match[2]]
    return max(scored or [int(match[1]) for match in found], default=None)


def class_figures(table: pd.DataFrame) -> dict[str, float]:
    """Count clips; in percent, top-1, the mean of the classes' own, and the share of the largest class."""
    right = table["pred"] == table["label_id"]
    return {
        "n_clips": len(table),
        "top1": 100 * right.mean(),
        "mean_class": 100 * right.groupby(table["label_id"]).mean().mean(),
        "chance": 100 * table["label_id"].value_counts(normalize=True).max(),
    }


def run_figures(table: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    """Compute every figure of a classifier, accuracies in percent; None where it needs scores and has none.

    Args:
        table: predictions, a row for each clip.
        classes: names by label id.

    Returns:
        `n_clips, top1, top5, mean_class, f1, f1_weighted, ap, ece, chance` and `per_class`, the accuracy of
        each class that has clips; top5 of more than five classes only.
    """
    scored = sum(name.startswith("s_") for name in table.columns)
    label = table["label_id"]
    right = table["pred"] == label
    return {
        **class_figures(table),
        "top5": top_k_share(table, 5) if scored > 5 else None,
        "f1": macro_f1(table),
        "f1_weighted": weighted_f1(table),
        "ap": average_precision(table),
        "ece": calibration_error(table),
        "per_class": {classes[k]: 100 * float(right[label == k].mean()) for k in sorted(set(label))},
    }


def top_k_share(table: pd.DataFrame, k: int) -> float:
    """Say how often, in percent, the label is among the `k` best; equal scores go by class number."""
    best = np.argsort(-_scores(table), axis=1, kind="stable")[:, :k]
    return 100 * float((best == table["label_id"].to_numpy()[:, None]).any(axis=1).mean())


def macro_f1(table: pd.DataFrame) -> float:
    """Average, in percent, the F1 of every class that is a label or is predicted."""
    return float(_per_class(table)["f1"].mean())


def weighted_f1(table: pd.DataFrame) -> float:
    """Average the same weighted by the clips of each class."""
    found = _per_class(table)
    return float(np.average(found["f1"], weights=found["clips"]))


def per_class(table: pd.DataFrame, classes: int) -> pd.DataFrame:
    """Tabulate of each of so many classes `clips`, and in percent `precision, recall, f1`.

    Empty where there is nothing to divide by: recall without a clip, precision without a prediction.
    """
    return _per_class(table).reindex(range(classes)).fillna({"clips": 0}).astype({"clips": int})


def confusion(table: pd.DataFrame, classes: int) -> NDArray[np.int64]:
    """Count (K, K): how many clips of the class of a row get the class of a column."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (table["label_id"].to_numpy(), table["pred"].to_numpy()), 1)
    return counts


def calibration_error(table: pd.DataFrame) -> float | None:
    """Compute the expected calibration error in percent: how far confidence is from accuracy, over clips.

    Naeini et al. 2015; BINS bins of equal width. None where the predictions have no scores.
    """
    scores = _scores(table)
    if not scores.shape[1]:
        return None
    confidence = scores.max(axis=1)
    right = (table["pred"] == table["label_id"]).to_numpy()
    # A confidence on an edge is of the bin below, and none is above the last.
    bins = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(int)
    gap = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return 100 * float(np.abs(gap).sum()) / len(table)


def average_precision(table: pd.DataFrame) -> float | None:
    """Average, in percent, over the classes that some clip carries, the average precision of each.

    Of the clips that carry a class (`label_ids` where clips may carry several) against all others. None where
    the predictions have no scores.
    """
    if not _scores(table).shape[1]:
        return None
    from sklearn.metrics import average_precision_score  # seconds, for every script that reads predictions

    carried = carried_classes(table)
    found = [
        average_precision_score([k in classes_of for classes_of in carried], table[f"s_{k}"])
        for k in sorted(set.union(*carried))
    ]
    return 100 * float(np.mean(found))


def carried_classes(table: pd.DataFrame) -> list[set[int]]:
    """List all classes of each clip: of `label_ids` where the predictions have it, else its label."""
    if "label_ids" not in table:
        return [{label_id} for label_id in table["label_id"]]
    return [set(map(int, str(text).split(";"))) for text in table["label_ids"]]


def _scores(table: pd.DataFrame) -> NDArray[np.float64]:
    """(N, K), K is 0 where there are none."""
    return table[[name for name in table.columns if name.startswith("s_")]].to_numpy()


def _per_class(table: pd.DataFrame) -> pd.DataFrame:
    """See `per_class`; a row for every class that is a label or is predicted."""
    label, pred = table["label_id"], table["pred"]
    names = sorted({*label, *pred})
    clips, said, right = (
        part.value_counts().reindex(names, fill_value=0) for part in (label, pred, label[label == pred])
    )
    return pd.DataFrame(
        {
            "clips": clips,
            "precision": 100 * right / said.where(said > 0),
            "recall": 100 * right / clips.where(clips > 0),
            "f1": 200 * right / (said + clips),
        }
    )


def class_gate(table: pd.DataFrame) -> dict[str, Any]:
    """Judge whether a run has learnt anything: it has not where all its predictions are one class."""
    stuck = table["pred"].nunique() == 1
    return {"passed": not stuck, "reason": "every clip gets the same class" if stuck else ""}
