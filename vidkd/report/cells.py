"""What a table of the report shows: which columns of its csv, under which heading, and what is marked."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from vidkd.evaluate.specs import Column
from vidkd.evaluate.statistics import ALPHA
from vidkd.evaluate.tables import number

MARK = "*"
"""Beside the gain of a variant that differs from the baseline."""

EMPTY = "–"


@dataclass(frozen=True)
class Cell:
    """What is shown of one value, or of an interval.

    Attributes:
        text: as it is shown.
        value: what it is sorted by.
        best: whether it is the best of its column.
    """

    text: str
    value: float | str
    best: bool = False


def shown_columns(table: pd.DataFrame, columns: Sequence[Column]) -> list[Column]:
    """Those that the table has a value in, each pattern once for every key that it matches.

    Without `columns`, all that have a value, under their own names.
    """
    filled = [str(name) for name in table if table[name].notna().any()]
    if not columns:
        return [Column(name, name) for name in filled if not name.endswith("_std")]
    return [
        replace(column, key=name, title=column.title.format(*found.groups()))
        for column in columns
        for name in filled
        if (found := re.fullmatch(column.key, name))
    ]


def make_cells(table: pd.DataFrame, columns: Sequence[Column], group: str | None = None) -> list[list[Cell]]:
    """The cells of each row.

    Args:
        table: as it is in the csv.
        columns: that are shown.
        group: column within whose values a best one is looked for; None: in the whole table.
    """
    best = {column.key: _best(table, column, group) for column in columns}
    return [
        [_cell(row, column, best[column.key][place]) for column in columns]
        for place, row in enumerate(table.to_dict("records"))
    ]


def _best(table: pd.DataFrame, column: Column, group: str | None) -> list[bool]:
    """Of each row whether its value is the best; none is where all are the same."""
    if not column.best:
        return [False] * len(table)
    values = table[column.key].astype(float)
    groups = values.groupby(table[group] if group else [0] * len(table), sort=False)
    top = groups.transform("max" if column.best == "high" else "min")
    return ((values == top) & (groups.transform("nunique") > 1)).tolist()


def _cell(row: Mapping[Hashable, Any], column: Column, best: bool) -> Cell:
    value = row[column.key]
    if isinstance(value, bool):
        return Cell("yes" if value else "no", str(value))
    if isinstance(value, float) and math.isnan(value):
        return Cell(EMPTY, "")
    if not isinstance(value, (int, float)):
        return Cell(str(value), str(value))
    text = number(column.key, value)
    if column.to:
        return Cell(f"{text} to {number(column.to, row[column.to])}", value)
    spread = row.get(f"{column.key}_std", math.nan)
    if not math.isnan(spread):
        text += f" ± {number(column.key, spread)}"
    if column.key.startswith("delta") and row.get("p_holm", 1) < ALPHA:
        text += MARK
    return Cell(text, value, best)
