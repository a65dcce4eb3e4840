"""A heat map of how like the features of networks are to each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from vidkd.evaluate.tables import read_table
from vidkd.report.figures import STYLE, save_figure

CELL = 0.44
"""Side of a square, in inches."""


def draw_similarity(similarity_csv: Path, figures: Sequence[Path]) -> None:
    """Draw the table `one, other, cka`: a square for each pair, empty where CKA is not defined."""
    table = read_table(similarity_csv)
    names = list(table["one"].unique())
    cka_CC = table.pivot(index="one", columns="other", values="cka").loc[names, names].to_numpy()
    side = CELL * len(names) + 1.9
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
