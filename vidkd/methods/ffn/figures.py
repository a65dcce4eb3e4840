"""The figure of FFN: accuracy over the number of frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from vidkd.evaluate.tables import read_table
from vidkd.methods.inputs import Inputs
from vidkd.plotting import MARKERS, STYLE, save_figure


def draw_tfd(inputs: Inputs, figures: Sequence[Path]) -> None:
    """Accuracy against frames seen, one curve a variant, with a band of one standard deviation over seeds."""
    table = read_table(inputs.result("table"))
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
