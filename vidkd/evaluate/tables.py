"""The tables of results, read back and shown to people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from vidkd.artefacts import reading

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


def read_csv(path: Path, columns: Iterable[str] = (), **options: Any) -> pd.DataFrame:
    """Read an artefact that is a table.

    Args:
        path: CSV.
        columns: that it must have.
        **options: of `pandas.read_csv`.

    Raises:
        UserError: it is missing or damaged, or lacks a column.
    """
    with reading(path) as file:
        table: pd.DataFrame = pd.read_csv(file, **options)
        if missing := [name for name in columns if name not in table]:
            raise ValueError(f"it has no column {missing[0]}")
    return table


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of results; an empty cell is NaN."""
    return read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(TEXT, str))


def number(column: str, value: float) -> str:
    """Format a value of a column, with as many digits as mean something there."""
    return format(value, next((shown for names, shown in _FORMATS if names.match(column)), ".1f"))
