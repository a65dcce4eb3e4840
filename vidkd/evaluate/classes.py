"""Figures of any classifier from its predictions: `video_id, label_id, pred, s_0, …`, a row for each clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


def class_gate(table: pd.DataFrame) -> dict[str, Any]:
    """Failed when all predictions are one class: such a run has learnt nothing."""
    stuck = table["pred"].nunique() == 1
    return {"passed": not stuck, "reason": "every clip gets the same class" if stuck else ""}
