"""Accuracy against what it costs: time of a clip, and parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from vidkd.evaluate.tables import read_table
from vidkd.methods.inputs import Inputs
from vidkd.plotting import MARKERS, STYLE, save_figure

_COSTS = {"ms_1": "ms a clip on one core", "params": "parameters"}
"""Columns of the table that are costs, one a panel."""

_TICKS = {10: (1, 1.5, 2, 3, 5, 7), 100: (1, 2, 5), math.inf: (1, 3)}
"""Digits of the ticks of an axis whose ends have less than this ratio."""

_COLUMNS, _LETTER, _HEIGHT = 3, 6.0, 9.0
"""Columns of the legend; width of a digit and height of a number, in points."""

_DISTANCES, _DIRECTIONS = (1.0, 1.5, 2.2, 3.0, 4.0), 16
"""Places that are tried for a label, the nearest first: so many heights away, in so many directions."""


def draw_tradeoff(inputs: Inputs, figures: Sequence[Path]) -> None:
    """Draw a point for each row of the table; those of one variant at several frame counts are joined.

    A variant has a number beside its point of the most frames, and the legend says whose it is.

    Args:
        inputs: the table `method, variant, frames, params, ms_1, top1` and more.
        figures: files to write.
    """
    table = read_table(inputs.result("table")).dropna(subset=["top1"])
    table = table.assign(number=table.groupby(["method", "variant"], sort=False).ngroup() + 1)
    with mpl.rc_context(STYLE):
        lines = -(-table["number"].max() // _COLUMNS)
        figure = Figure(figsize=(9, 4.2 + 0.17 * lines), layout="constrained")
        axes = figure.subplots(1, len(_COSTS), sharey=True)
        for place, (column, title) in zip(axes, _COSTS.items(), strict=True):
            _draw_points(place, table.dropna(subset=[column]), column)
            _scale(place)
            place.set(xlabel=title)
            place.grid(alpha=0.3)
        axes[0].set(ylabel="top-1 accuracy (%)")
        figure.legend(
            handles=_legend(table), loc="outside lower center", ncols=_COLUMNS, fontsize=8, frameon=False
        )
        # Labels are placed in what the layout has given the axes; it must not move any more.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for place, column in zip(axes, _COSTS, strict=True):
            _number_points(place, table.dropna(subset=[column]), column)
        save_figure(figure, figures)


def _draw_points(axes: Axes, table: pd.DataFrame, column: str) -> None:
    for (method, _), rows in table.groupby(["method", "variant"], sort=False):
        marker, colour = _look(table, str(method))
        rows = rows.sort_values("frames")
        axes.plot(rows[column], rows["top1"], marker=marker, color=colour, markersize=5, lw=0.8)


def _scale(axes: Axes) -> None:
    """A logarithmic axis, wide enough to have some ticks, and with no more of them than there is room for."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    ratio = max(high / low, 3)
    middle = (low * high) ** 0.5
    axes.set_xlim(middle / ratio**0.5, middle * ratio**0.5)
    ticks = next(ticks for limit, ticks in _TICKS.items() if ratio < limit)
    axes.xaxis.set_major_locator(LogLocator(subs=ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def short_number(value: float) -> str:
    """Write a number with the letter of its power of a thousand, where it has one."""
    letters = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
    return next((f"{value / of:g} {letter}" for of, letter in letters if value >= of), f"{value:g}")


def _number_points(axes: Axes, table: pd.DataFrame, column: str) -> None:
    """Write the number of each variant near its point of the most frames, joined to it by a thin line."""
    table = table.reset_index(drop=True)
    if table.empty:
        return
    last = table.sort_values("frames").groupby("number").tail(1).sort_values("number")
    to_points = axes.transData + axes.figure.dpi_scale_trans.inverted()
    point_N2 = 72 * to_points.transform(table[[column, "top1"]].to_numpy(dtype=float))
    size_L2 = np.array([[_LETTER * len(str(number)), _HEIGHT] for number in last["number"]])
    box = axes.get_window_extent().transformed(axes.figure.dpi_scale_trans.inverted())
    bounds = (72 * box.x0, 72 * box.y0, 72 * box.x1, 72 * box.y1)
    places = free_places(point_N2, size_L2, last.index.tolist(), bounds)
    for row, (number, place) in zip(last.index, zip(last["number"], places, strict=True), strict=True):
        axes.annotate(
            str(number),
            table.loc[row, [column, "top1"]],
            place - point_N2[row],
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": "grey", "shrinkA": 3, "shrinkB": 2},
        )


def free_places(
    point_N2: NDArray[np.float64],
    size_L2: NDArray[np.float64],
    labelled: Sequence[int],
    bounds: tuple[float, float, float, float],
) -> NDArray[np.float64]:
    """Find the middle (L, 2) of each label, so that it covers no other label or point, or as few as can be.

    Args:
        point_N2: all points of the chart, x and y in any unit of length.
        size_L2: width and height of each label, in the same unit.
        labelled: number of the point of each label.
        bounds: left, bottom, right and top of what labels may cover.
    """
    height = size_L2[:, 1].max()
    angles = np.linspace(0, 2 * np.pi, _DIRECTIONS, endpoint=False) + np.pi / 4
    circle_D2 = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    offset_P2 = height * np.concatenate([distance * circle_D2 for distance in _DISTANCES])
    taken, taken_size = point_N2, np.full(point_N2.shape, 0.7 * height)
    found = np.empty((0, 2))
    for number, size_2 in zip(labelled, size_L2, strict=True):
        place_P2 = point_N2[number] + offset_P2
        covered_P = _overlaps(place_P2, size_2, taken, taken_size) + 100 * _outside(place_P2, size_2, bounds)
        best_2 = place_P2[np.argmin(covered_P)]
        taken, taken_size = np.vstack([taken, best_2]), np.vstack([taken_size, size_2])
        found = np.vstack([found, best_2])
    return found


def _overlaps(
    place_P2: NDArray[np.float64],
    size_2: NDArray[np.float64],
    taken_N2: NDArray[np.float64],
    size_N2: NDArray[np.float64],
) -> NDArray[np.int64]:
    """How many of the boxes around `taken_N2` a box around each place lies on (P)."""
    apart_PN2 = np.abs(place_P2[:, None] - taken_N2[None])
    return (apart_PN2 < (size_2 + size_N2) / 2).all(axis=2).sum(axis=1)


def _outside(
    place_P2: NDArray[np.float64], size_2: NDArray[np.float64], bounds: tuple[float, float, float, float]
) -> NDArray[np.bool_]:
    """Whether a box around each place is not within the bounds (P)."""
    low, high = np.array(bounds[:2]) + size_2 / 2, np.array(bounds[2:]) - size_2 / 2
    beyond_P2: NDArray[np.bool_] = (place_P2 < low) | (place_P2 > high)
    return np.asarray(beyond_P2.any(axis=1))


def _legend(table: pd.DataFrame) -> list[Line2D]:
    found = []
    for (method, variant), rows in table.groupby(["method", "variant"], sort=False):
        marker, colour = _look(table, str(method))
        label = f"{rows['number'].iloc[0]}  {method}: {variant}{_frames(rows['frames'])}"
        found.append(Line2D([], [], marker=marker, color=colour, ls="", markersize=5, label=label))
    return found


def _look(table: pd.DataFrame, method: str) -> tuple[str, str]:
    """Marker and colour of a method."""
    number = list(table["method"].unique()).index(method)
    return MARKERS[number % len(MARKERS)], f"C{number % 10}"


def _frames(counts: pd.Series) -> str:
    """The frame counts of a variant, where it has several."""
    return f", {counts.min():g} to {counts.max():g} frames" if counts.nunique() > 1 else ""
