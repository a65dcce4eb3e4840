"""Clips as strips: a row of frames for each, below a title."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vidkd.report.figures import STYLE, save_figure

Strip = tuple[str, NDArray[np.uint8]]
"""A title, and frames (T, H, W, 3)."""

FRAME, MARGIN, LINE = 0.84, 0.15, 0.17
"""Width of a frame, space at the sides and height of a line, in inches."""

DPI = 100
"""Of the pixels, those inside an svg as well: a page holds a few hundred frames."""

LETTERS = 90
"""Of a title on one line."""


def draw_strips(heading: str, strips: Sequence[Strip], figures: Sequence[Path]) -> None:
    """Draw `strips`, one or more, each with the same number of frames, below a heading."""
    columns = len(strips[0][1])
    width = columns * FRAME + 2 * MARGIN
    titles = [textwrap.wrap(title, LETTERS) for title, _ in strips]
    heights = [
        LINE * (len(title) + 0.9) + FRAME * frames.shape[1] / frames.shape[2]
        for title, (_, frames) in zip(titles, strips, strict=True)
    ]
    total = sum(heights) + 2 * LINE + MARGIN
    with mpl.rc_context(STYLE):
        # Placed by hand: the frames of all strips are equally wide.
        figure, top = Figure(figsize=(width, total)), total - 2 * LINE
        figure.text(MARGIN / width, 1 - 0.5 * LINE / total, heading, va="top", parse_math=False)
        for title, (_, frames), height in zip(titles, strips, heights, strict=True):
            top -= height
            text: Any = {"fontsize": 9, "va": "top", "parse_math": False}
            figure.text(MARGIN / width, (top + height - 0.75 * LINE) / total, "\n".join(title), **text)
            for column, image in enumerate(frames):
                left, tall = MARGIN + column * FRAME, FRAME * image.shape[0] / image.shape[1]
                box = (left / width, top / total, 0.97 * FRAME / width, 0.97 * tall / total)
                axes = figure.add_axes(box)
                axes.imshow(image, aspect="auto")
                axes.set_axis_off()
        save_figure(figure, figures, DPI)


def draw_words(text: str, figures: Sequence[Path]) -> None:
    """A sentence in the place of strips, where there is none to draw."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8 * FRAME + 2 * MARGIN, 0.6))
        figure.text(0.5, 0.5, text, ha="center", va="center", parse_math=False)
        save_figure(figure, figures)
