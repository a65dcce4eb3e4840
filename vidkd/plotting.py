"""What all figures share: style, panels, and writing a figure as svg and png."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidkd.files import atomic

STYLE: Any = {
    "svg.hashsalt": "vidkd",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
MARKERS = "osD^vP*Xh<>pd"


def panels(figure: Figure, count: int, columns: int) -> list[Axes]:
    """Make so many axes in rows of `columns`; the places that are left in the last row stay empty."""
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
