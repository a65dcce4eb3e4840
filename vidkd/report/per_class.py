"""Recall of each class: a panel for each method, a bar for each variant."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidkd.evaluate.tables import read_table
from vidkd.methods.inputs import Inputs
from vidkd.plotting import STYLE, save_figure

_MANY, _ENDS = 20, 10
"""Classes above which not all are drawn, and how many then are at either end."""

_WIDTH, _BARS, _LINE, _LETTER = 9.0, 2.0, 0.16, 0.06
"""Width of the figure, height of bars and of a line of the legend, room for a letter of a name, in inches."""

_NAME, _TITLE = 26, 95
"""Letters on a line of a class name, which has two lines at most, and of a title."""


def draw_per_class(inputs: Inputs, figures: Sequence[Path]) -> None:
    """Draw the table `method, variant, class, clips, precision, recall, f1`, in percent."""
    table = read_table(inputs.result("table"))
    shown = [(name, *_chosen_classes(_recalls(rows))) for name, rows in table.groupby("method", sort=False)]
    heights = [_height(recall) for _, recall, _ in shown]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
        grid = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)
        for axes, (name, recall, title) in zip(grid.ravel(), shown, strict=True):
            _draw_method(axes, recall)
            axes.set_title(textwrap.fill(f"{name}{title}", _TITLE), fontsize=10, loc="left", parse_math=False)
        save_figure(figure, figures)


def _recalls(rows: pd.DataFrame) -> pd.DataFrame:
    """Recall in percent of each class (row) by variant (column), both in their order; NaN without clips."""
    table = rows.pivot_table(index="class", columns="variant", values="recall", sort=False, dropna=False)
    return table.reindex(index=rows["class"].unique(), columns=rows["variant"].unique())


def _chosen_classes(recall: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The classes that are drawn, and what the title says of them: of many, those at both ends."""
    if len(recall) <= _MANY:
        return recall, ""
    first, *others = recall.columns
    gain = recall[others].mean(axis="columns") - recall[first] if others else recall[first]
    order = gain.dropna().sort_values(kind="stable").index
    of = f"of the {len(recall)} classes the {_ENDS}"
    title = (
        f": {of} that lose most against {first} and the {_ENDS} that gain most, mean over the other variants"
        if others
        else f": {of} of the lowest and the {_ENDS} of the highest recall"
    )
    return recall.loc[[*order[:_ENDS], *order[max(_ENDS, len(order) - _ENDS) :]]], title


def _height(recall: pd.DataFrame) -> float:
    """Of the panel of a method."""
    letters = max(len(line) for name in recall.index for line in class_label(name).split("\n"))
    return max(_BARS, _LINE * recall.shape[1]) + _LETTER * letters + 3 * _LINE


def class_label(name: str) -> str:
    """Write the name of a class on two lines at most."""
    return "\n".join(textwrap.wrap(name, _NAME, max_lines=2, placeholder=" …"))


def _draw_method(axes: Axes, recall: pd.DataFrame) -> None:
    count = recall.shape[1]
    place, width = np.arange(len(recall)), 0.8 / count
    for number, (name, values) in enumerate(recall.items()):
        look: Any = {"color": f"C{number % 10}", "hatch": ("", "///", "...")[number // 10 % 3]}
        middle = place + (number - (count - 1) / 2) * width
        axes.bar(middle, values, width, label=name, edgecolor="white", linewidth=0.3, **look)
    style: Any = {"rotation": 45, "rotation_mode": "anchor", "ha": "right", "va": "center", "fontsize": 8}
    axes.set_xticks(place, map(class_label, recall.index), parse_math=False, **style)
    axes.set(ylabel="recall (%)", ylim=(0, 100), xlim=(-0.6, len(recall) - 0.4))
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    if len(recall) == 2 * _ENDS:
        axes.axvline(_ENDS - 0.5, color="black", lw=1, ls=":")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
