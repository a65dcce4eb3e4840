"""A table as Markdown and as LaTeX, with the numbers of its csv."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vidkd.evaluate.specs import Column
from vidkd.report.cells import Cell

PACKAGES = ("booktabs", "graphicx", "longtable", "textcomp")

LONG = 40
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
    """The table under its title and above its notes; the best of a column is bold."""
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
    """The table, labelled `tab:name`, for a document with the packages PACKAGES.

    As wide as the text, or over several pages where it is long.
    """
    lines = [" & ".join(_bold(cell, _LATEX, r"\textbf{{{}}}") for cell in row) + r" \\" for row in cells]
    head = " & ".join(_escaped(column.title, _LATEX) for column in columns)
    caption = _escaped(" ".join([f"{title}.", *notes]), _LATEX)
    form = _LONG_TABLE if len(lines) > LONG else _TABLE
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
