"""The tables of results: their rows of networks that teach, read back, and shown to people."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

_FORMATS = (
    (re.compile(r"(\w+_)?(params|clips|frames|seeds|seed|jobs|fitted_on|same_predictions)$"), ",.0f"),
    (re.compile(r"gflops|r2|cosine|cka|size_mb|peak_mb|\w+_loss"), ".3f"),
    (re.compile("p_|p$"), ".4f"),
    (re.compile("gate_|ms|relative"), ".2f"),
    (re.compile("max_logit_difference|tolerance"), ".2g"),
)
"""How columns are shown whose names begin so; any other one has one decimal, as percentages have."""


TEXT = (
    "variant", "baseline", "backbone", "network", "converter", "teacher", "assistant", "head", "label",
    "part", "inputs", "rule", "setting", "class", "commit", "code", "settings", "value", "python", "torch",
    "snakemake", "one", "other",
)  # fmt: skip
"""Columns that are text whatever they look like: a variant may be called `nan`, a commit `12e4567`."""


def read_table(path: Path) -> pd.DataFrame:
    """A table of results; an empty cell is NaN."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(TEXT, str))


def number(column: str, value: float) -> str:
    """A value of a column, with as many digits as mean something there."""
    return format(value, next((shown for names, shown in _FORMATS if names.match(column)), ".1f"))


def head_rows(metrics: Path) -> list[dict[str, Any]]:
    """Make a row for each head of a network that teaches: accuracies in percent, and the gate's answer."""
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
