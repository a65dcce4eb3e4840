"""The figures of converters: their quality, and how alike all features are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidkd.evaluate.tables import read_table
from vidkd.methods.inputs import Inputs
from vidkd.plotting import MARKERS, STYLE, save_figure

_WORST_R2 = -1.0
"""Where the axis of R² ends: a random converter's is so far below zero that the others would be one dot."""

_CELL = 0.44
"""Side of a square, in inches."""


def draw_quality(inputs: Inputs, figures: Sequence[Path]) -> None:
    """R² and cosine of each converter on the test split, beside what the mean feature of the teacher has."""
    table = read_table(inputs.result("table")).query("split == 'test'")
    teachers = list(dict.fromkeys(table["teacher"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 1.6 + 0.75 * len(teachers)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        below = table["r2"].min() < _WORST_R2
        table = table.assign(r2=table["r2"].clip(lower=_WORST_R2))
        _draw_quality(left, table, "r2", teachers)
        _draw_quality(right, table, "cosine", teachers)
        left.set(xlabel=f"R² ({_WORST_R2:g}: or less)" if below else "R²", ylim=(len(teachers) - 0.5, -0.5))
        left.set_yticks(range(len(teachers)), teachers)
        right.set(xlabel="cosine")
        figure.legend(*right.get_legend_handles_labels(), loc="outside right upper", frameon=False)
        save_figure(figure, figures)


def _draw_quality(axes: Axes, table: pd.DataFrame, name: str, teachers: Sequence[str]) -> None:
    """A dot for each converter beside the others of its teacher, and a line at the mean feature's figure."""
    converters = list(dict.fromkeys(table["converter"]))
    step = 0.7 / len(converters)
    for number, (converter, rows) in enumerate(table.groupby("converter", sort=False)):
        place = [teachers.index(of) + (number - (len(converters) - 1) / 2) * step for of in rows["teacher"]]
        marker, spread = MARKERS[number % len(MARKERS)], rows[f"{name}_std"].fillna(0)
        axes.errorbar(rows[name], place, xerr=spread, fmt=marker, markersize=6, label=converter)
    for number, (_, rows) in enumerate(table.groupby("teacher", sort=False)):
        mean, label = rows[f"{name}_mean_feature"].mean(), "_" if number else "mean feature"
        axes.vlines(mean, number - 0.45, number + 0.45, color="black", lw=1.5, label=label)
    axes.grid(axis="x", alpha=0.3)
    axes.tick_params(axis="y", length=0)


def draw_similarity(inputs: Inputs, figures: Sequence[Path]) -> None:
    """Draw the table `one, other, cka`: a square for each pair, empty where CKA is not defined."""
    table = read_table(inputs.result("table"))
    names = list(table["one"].unique())
    cka_CC = table.pivot(index="one", columns="other", values="cka").loc[names, names].to_numpy()
    side = _CELL * len(names) + 1.9
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(side, side), layout="constrained")
        axes = figure.subplots()
        axes.imshow(cka_CC, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for row, column in np.argwhere(~np.isnan(cka_CC)):
            value = cka_CC[row, column]
            colour = "white" if value > 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
        save_figure(figure, figures)
