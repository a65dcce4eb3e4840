"""Figures of any classifier from its predictions: `video_id, label_id, pred, s_0, …`, a row for each clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vidkd.errors import UserError


def read_predictions(predictions: Path) -> pd.DataFrame:
    """The predictions of one run; video ids are text, even `007` and `nan`.

    Raises:
        UserError: they have no row.
    """
    table = pd.read_csv(predictions, converters={"video_id": str})
    if table.empty:
        raise UserError(f"{predictions} has no predictions: delete it and run again.")
    return table


def class_figures(table: pd.DataFrame) -> dict[str, float]:
    """Clips, and in percent: top-1, the mean of the classes' own, and the share of the largest class."""
    right = table["pred"] == table["label_id"]
    return {
        "n_clips": len(table),
        "top1": 100 * right.mean(),
        "mean_class": 100 * right.groupby(table["label_id"]).mean().mean(),
        "chance": 100 * table["label_id"].value_counts(normalize=True).max(),
    }


def top_k_share(table: pd.DataFrame, k: int) -> float:
    """How often, in percent, the label is among the `k` best; equal scores go by class number."""
    scores = table[[name for name in table.columns if name.startswith("s_")]].to_numpy()
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return 100 * float((best == table["label_id"].to_numpy()[:, None]).any(axis=1).mean())


def macro_f1(table: pd.DataFrame) -> float:
    """Mean in percent of the F1 of every class that is a label or is predicted."""
    label, pred = table["label_id"], table["pred"]
    shares = [
        2 * ((label == k) & (pred == k)).sum() / ((label == k).sum() + (pred == k).sum())
        for k in sorted({*label, *pred})
    ]
    return 100 * float(np.mean(shares))


def class_gate(table: pd.DataFrame) -> dict[str, Any]:
    """Failed when all predictions are one class: such a run has learnt nothing."""
    stuck = table["pred"].nunique() == 1
    return {"passed": not stuck, "reason": "every clip gets the same class" if stuck else ""}
