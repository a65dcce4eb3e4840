"""Metrics of one run from its predictions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from vidkd.errors import UserError
from vidkd.files import write_text

PREDICTION = re.compile(r"^pred_(\d+)f$")


def evaluate_run(predictions: Path, efficiency: Path, metrics: Path, variant: str, seed: int) -> None:
    """Write `metrics.json`: accuracy (percent) by frame count, the result gate, parameters and GFLOPs.

    Raises:
        UserError: the predictions have no row or no prediction column.
    """
    table = pd.read_csv(predictions)
    columns = {int(m[1]): table[name] for name in table.columns if (m := PREDICTION.match(name))}
    if table.empty or not columns:
        raise UserError(f"{predictions} has no predictions: delete it and run again.")
    result = {
        "variant": variant,
        "seed": seed,
        "n_clips": len(table),
        "accuracy": {
            str(c): 100 * float((column == table["label_id"]).mean()) for c, column in columns.items()
        },
        "result_gate": result_gate(columns),
        **json.loads(efficiency.read_text(encoding="utf-8")),
    }
    write_text(metrics, json.dumps(result, indent=2) + "\n")


def result_gate(predictions: dict[int, pd.Series]) -> dict[str, Any]:
    """Failed when the predictions at some frame count are all of one class: such a run has learnt nothing."""
    stuck = [count for count, column in sorted(predictions.items()) if column.nunique() == 1]
    if not stuck:
        return {"passed": True, "reason": ""}
    counts = ", ".join(map(str, stuck))
    return {"passed": False, "reason": f"every clip gets the same class at {counts} frames"}
