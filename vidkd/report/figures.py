"""Figures of the report, each as svg and png."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

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
        _save(figure, figures)


def _save(figure: Figure, paths: Sequence[Path]) -> None:
    for path in paths:
        kind = path.suffix.removeprefix(".")
        # No date in the file: the same numbers give the same bytes.
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        with atomic(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=150, metadata=metadata)
