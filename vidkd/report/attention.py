"""Frames of a few clips, and the weight that pooling gives to each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vidkd.report.figures import STYLE, save_figure


def draw_attention(
    clips: Sequence[tuple[str, NDArray[np.uint8], NDArray[np.float64]]], figures: Sequence[Path]
) -> None:
    """A row for each clip: its frames, and the weight of each.

    Args:
        clips: a title, frames (T, H, W, 3), and weights (T) of each.
        figures: files to write.
    """
    frames, rows = max(len(weights) for _, _, weights in clips), len(clips)
    with mpl.rc_context(STYLE):
        # Placed by hand: a layout engine moves nested grids by the last bit from run to run.
        figure = Figure(figsize=(1.3 * frames + 0.3, 2.2 * rows))
        for number, (title, images, weights) in enumerate(clips):
            top, bottom = 1 - (number + 0.14) / rows, 1 - (number + 0.98) / rows
            figure.text(0.02, 1 - (number + 0.1) / rows, title, fontsize=9, parse_math=False)
            grid = figure.add_gridspec(
                2, frames, left=0.02, right=0.98, top=top, bottom=bottom, height_ratios=[3, 1], wspace=0.06,
                hspace=0.02,
            )  # fmt: skip
            for place, (image, weight) in enumerate(zip(images, weights, strict=True)):
                _draw_frame(figure.add_subplot(grid[0, place]), image)
                _draw_weight(figure.add_subplot(grid[1, place]), weight, max(weights))
        save_figure(figure, figures)


def _draw_frame(axes: Axes, image: NDArray[np.uint8]) -> None:
    axes.imshow(image)
    axes.set_axis_off()


def _draw_weight(axes: Axes, weight: float, largest: float) -> None:
    """A bar beside which those of the other frames stand, as high as the largest at most."""
    axes.bar([0], [weight], color="C0", width=0.6)
    axes.text(0, weight, f"{weight:.2f}", ha="center", va="bottom", fontsize=7)
    axes.set(xlim=(-0.5, 0.5), ylim=(0, 1.5 * largest))
    axes.set_axis_off()
