"""Figures of the report, each as svg and png."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidkd.evaluate.statistics import ALPHA
from vidkd.evaluate.tables import read_table
from vidkd.files import atomic

STYLE: Any = {
    "svg.hashsalt": "vidkd",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
MARKERS = "osD^vP*Xh<>pd"

WORST_R2 = -1.0
"""Where the axis of R² ends: a random converter's is so far below zero that the others would be one dot."""


def draw_tfd(any_frame_csv: Path, figures: Sequence[Path]) -> None:
    """Accuracy against frames seen, one curve a variant, with a band of one standard deviation over seeds."""
    table = read_table(any_frame_csv)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.subplots()
        for number, (name, rows) in enumerate(table.groupby("variant", sort=False)):
            marker, style = MARKERS[number % len(MARKERS)], ("-", "--", ":")[number // 10 % 3]
            (line,) = axes.plot(rows["frames"], rows["acc"], style, marker=marker, markersize=4, label=name)
            spread = rows["acc_std"].fillna(0)
            axes.fill_between(
                rows["frames"],
                rows["acc"] - spread,
                rows["acc"] + spread,
                color=line.get_color(),
                alpha=0.15,
                lw=0,
            )
        axes.set(xlabel="frames seen at test time", ylabel="top-1 accuracy (%)", ylim=(0, 101))
        axes.grid(alpha=0.3)
        figure.legend(loc="outside right upper", frameon=False)
        save_figure(figure, figures)


def draw_converters(quality_csv: Path, figures: Sequence[Path]) -> None:
    """R² and cosine of each converter on the test split, beside what the mean feature of the teacher has."""
    table = read_table(quality_csv).query("split == 'test'")
    teachers = list(dict.fromkeys(table["teacher"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 1.6 + 0.75 * len(teachers)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        below = table["r2"].min() < WORST_R2
        table = table.assign(r2=table["r2"].clip(lower=WORST_R2))
        _draw_quality(left, table, "r2", teachers)
        _draw_quality(right, table, "cosine", teachers)
        left.set(xlabel=f"R² ({WORST_R2:g}: or less)" if below else "R²", ylim=(len(teachers) - 0.5, -0.5))
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


def draw_fusion(fusion_csv: Path, figures: Sequence[Path]) -> None:
    """What each variant gains over the baseline, with its interval; the baseline is a line."""
    table = read_table(fusion_csv)
    baseline = table[table["delta_vs_student"].isna()].iloc[0]
    others = table[table["delta_vs_student"].notna()].reset_index(drop=True)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 1.6 + 0.32 * len(others)), layout="constrained")
        axes = figure.subplots()
        axes.axvline(0, color="black", lw=1.5)
        for told, label in ((True, f"differs (p < {ALPHA:g})"), (False, "not told apart")):
            rows = others[(others["p_holm"] < ALPHA) == told]
            gain = rows["delta_vs_student"]
            sides = [(gain - rows["delta_low"]).clip(lower=0), (rows["delta_high"] - gain).clip(lower=0)]
            face = "C0" if told else "white"
            style: Any = {"fmt": "o", "color": "C0", "markerfacecolor": face, "capsize": 3}
            axes.errorbar(gain, rows.index, xerr=sides, label=label, **style)
        axes.set_yticks(range(len(others)), others["variant"])
        axes.set(
            xlabel=f"gain over {baseline['variant']} ({baseline['top1']:.1f}%), points of top-1 accuracy",
            ylim=(max(1, len(others)) - 0.5, -0.5),
        )
        _write_accuracies(axes, others["top1"])
        axes.grid(axis="x", alpha=0.3)
        figure.legend(loc="outside upper right", ncols=2, frameon=False)
        save_figure(figure, figures)


def _write_accuracies(axes: Axes, top1: pd.Series) -> None:
    """Accuracies in percent at the right of the axes, one a row."""
    beside = axes.get_yaxis_transform()
    for place, value in enumerate(top1):
        axes.text(1.02, place, f"{value:.1f}%", transform=beside, va="center")


def panels(figure: Figure, count: int, columns: int) -> list[Axes]:
    """So many axes in rows of `columns`; the places that are left in the last row stay empty."""
    axes = figure.subplots(-(-count // columns), columns, squeeze=False).ravel()
    for place in axes[count:]:
        place.set_axis_off()
    return list(axes[:count])


def save_figure(figure: Figure, paths: Sequence[Path], dpi: int = 150) -> None:
    """Write a figure atomically, in the format that each name ends in; `dpi` pixels an inch."""
    for path in paths:
        kind = path.suffix.removeprefix(".")
        # No date in the file: the same numbers give the same bytes.
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        with atomic(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=dpi, metadata=metadata)
