"""The figure of fusion: what each head gains over the baseline."""

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
from vidkd.methods.inputs import Inputs
from vidkd.plotting import STYLE, save_figure


def draw_fusion(inputs: Inputs, figures: Sequence[Path]) -> None:
    """Draw what each variant gains over the baseline, with its interval; the baseline is a line."""
    table = read_table(inputs.result("table"))
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
