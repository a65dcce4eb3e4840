"""A table of the report: which columns of its csv it shows, what is marked, and how it reads as text.

Markdown and LaTeX have the numbers of the csv.
"""

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

_EMPTY = "–"


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
    """Choose the columns that the table has a value in, each pattern once for every key that it matches.

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
    """Make the cells of each row.

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
        return Cell(_EMPTY, "")
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


# ---- Markdown and LaTeX

PACKAGES = ("booktabs", "graphicx", "longtable", "textcomp")

_LONG = 40
"""Rows of a table that still fits a page."""

_TABLE = r"""\begin{table}
\centering
\caption{CAPTION}\label{tab:NAME}
\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%
\begin{tabular}{KINDS}
\toprule
HEAD \\
\midrule
ROWS
\bottomrule
\end{tabular}}
\end{table}
"""

_LONG_TABLE = r"""\begin{longtable}{KINDS}
\caption{CAPTION}\label{tab:NAME} \\
\toprule
HEAD \\
\midrule
\endhead
ROWS
\bottomrule
\end{longtable}
"""

_FIRST_UNKNOWN = 0x180
"""Letters from here on, such as Greek and Chinese, are in no font that every LaTeX has."""

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_",
    "%": r"\%", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "±": r"$\pm$",
    "²": r"$^2$", "*": r"$^*$", "→": r"$\rightarrow$", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "[": "{[}", "]": "{]}", "−": "$-$", "×": r"$\times$",
    '"': r"\textquotedbl{}", "`": r"\textasciigrave{}",
}  # fmt: skip
_MARKDOWN = {character: f"\\{character}" for character in "\\`*_{}[]<>|#"}


def markdown(
    title: str, notes: Sequence[str], columns: Sequence[Column], cells: Sequence[Sequence[Cell]]
) -> str:
    """Write the table under its title and above its notes; the best of a column is bold."""
    head = [_escaped(column.title, _MARKDOWN) for column in columns]
    rules = ["---", *["---:"] * (len(columns) - 1)]
    rows = [[_bold(cell, _MARKDOWN, "**{}**") for cell in row] for row in cells]
    lines = [f"| {' | '.join(row)} |" for row in (head, rules, *rows)]
    said = [_escaped(note, _MARKDOWN) for note in notes]
    return "\n".join([f"### {_escaped(title, _MARKDOWN)}", "", *lines, "", " ".join(said), ""])


def latex(
    name: str,
    title: str,
    notes: Sequence[str],
    columns: Sequence[Column],
    cells: Sequence[Sequence[Cell]],
) -> str:
    """Write the table, labelled `tab:name`, for a document with the packages PACKAGES.

    As wide as the text, or over several pages where it is long.
    """
    lines = [" & ".join(_bold(cell, _LATEX, r"\textbf{{{}}}") for cell in row) + r" \\" for row in cells]
    head = " & ".join(_escaped(column.title, _LATEX) for column in columns)
    caption = _escaped(" ".join([f"{title}.", *notes]), _LATEX)
    form = _LONG_TABLE if len(lines) > _LONG else _TABLE
    words = {"NAME": name, "CAPTION": caption, "KINDS": "l" + "r" * (len(columns) - 1), "HEAD": head}
    words["ROWS"] = "\n".join(lines)
    return re.sub("|".join(words), lambda found: words[found[0]], form)


def _bold(cell: Cell, special: dict[str, str], form: str) -> str:
    text = _escaped(cell.text, special)
    return form.format(text) if cell.best else text


def _escaped(text: str, special: dict[str, str]) -> str:
    """The text with its special characters as such, on one line; LaTeX gets the code of a letter it lacks."""
    printable = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    found = "".join(special.get(letter, letter) for letter in printable)
    if special is not _LATEX:
        return found
    return "".join(letter if ord(letter) < _FIRST_UNKNOWN else f"(U+{ord(letter):04X})" for letter in found)
