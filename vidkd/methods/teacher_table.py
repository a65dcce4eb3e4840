"""Rows of tables of frozen networks that teach, from the `metrics.json` of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def head_rows(metrics: Path) -> list[dict[str, Any]]:
    """Make a row for each head of a network: accuracies in percent, and the answer of the gate."""
    run = json.loads(metrics.read_text(encoding="utf-8"))
    return [
        {
            "network": run["network"],
            "label": run["label"],
            "head": head,
            "used": head == run["head"],
            "fitted_on": run["fitted_on"],
            "val_top1": run[f"val_{head}"],
            "val_largest_class": run["val_largest_class"],
            "test_top1": run[f"test_{head}"],
            "test_largest_class": run["test_largest_class"],
            "margin": gate["margin"],
            "gate": gate["passed"],
            "reason": gate["reason"],
        }
        for head, gate in run["gates"].items()
    ]
