"""The rules of a run: boxes coloured by stage, and arrows down from what makes a file to what reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path as Curve

from vidkd.report.figures import STYLE, save_figure
from vidkd.report.layers import Layout, Point, Sizes, layered

# In points, of which a page of 1100 pixels has 825; letters are a little wider than those of browsers.
FONT, LETTER = 8.0, 5.0
BOX, CORNER = 16.0, 3.0
PAGE, MARGIN = 640.0, 8.0
LEGEND_LINE, LEGEND_COLUMN = 14.0, 100.0
PER_INCH = 72.0

Colour = tuple[float, float, float]


def draw_dag(stages: Mapping[str, str], edges: Iterable[Sequence[str]], figures: Sequence[Path]) -> None:
    """Draw the rules of a run; an arrow that follows from others is left out.

    Args:
        stages: stage of each rule by name.
        edges: names of a rule and of one that reads what it makes.
        figures: files to write.
    """
    layout = layered(stages, [(start, end) for start, end in edges], box_sizes(stages))
    colours = _colours(stages, layout)
    with mpl.rc_context(STYLE):
        figure = Figure()
        axes = _paper(figure, layout, colours)
        for points in layout.lines.values():
            axes.add_patch(_arrow(points))
        for name, (x, y) in layout.centres.items():
            axes.add_patch(_box(name, x, y, colours[stages[name]]))
            axes.text(x, y, name, ha="center", va="center_baseline", fontsize=FONT)
        save_figure(figure, figures)


def box_sizes(names: Iterable[str]) -> Sizes:
    """Of the boxes of rules with these names."""
    return Sizes({name: _width(name) for name in names}, PAGE, gap=8.0, step=40.0)


def _width(name: str) -> float:
    return LETTER * len(name) + 4 * CORNER


def _colours(stages: Mapping[str, str], layout: Layout) -> dict[str, Colour]:
    """A pale colour for each stage, in their order from the top."""
    downwards = sorted(stages, key=lambda name: layout.centres[name][::-1])
    names = list(dict.fromkeys(stages[name] for name in downwards))
    return {name: _pale(number) for number, name in enumerate(names)}


def _pale(number: int) -> Colour:
    """A colour of matplotlib's cycle with much white in it; with less in every other ten."""
    share = 0.35 + 0.3 * (number // 10 % 2)
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(f"C{number % 10}"))
    return red, green, blue


def _paper(figure: Figure, layout: Layout, colours: Mapping[str, Colour]) -> Axes:
    """Axes of the size of the drawing, in points, above a legend of the stages."""
    columns = max(1, int(layout.width / LEGEND_COLUMN))
    legend = LEGEND_LINE * -(-len(colours) // columns) + MARGIN
    width, height = layout.width + 2 * MARGIN, layout.height + MARGIN
    figure.set_size_inches(width / PER_INCH, (height + legend) / PER_INCH)
    axes = figure.add_axes((0, legend / (height + legend), 1, height / (height + legend)))
    axes.set(xlim=(-MARGIN, width - MARGIN), ylim=(height, 0))
    axes.axis("off")
    stages = [Patch(facecolor=colour, edgecolor="0.4", label=name) for name, colour in colours.items()]
    figure.legend(handles=stages, loc="lower center", ncols=columns, frameon=False, fontsize=FONT)
    return axes


def _box(name: str, x: float, y: float, colour: Colour) -> FancyBboxPatch:
    inside = _width(name) - 2 * CORNER, BOX - 2 * CORNER
    corner = x - inside[0] / 2, y - inside[1] / 2
    return FancyBboxPatch(corner, *inside, f"round,pad={CORNER}", facecolor=colour, edgecolor="0.4", lw=0.6)


def _arrow(points: Sequence[Point]) -> FancyArrowPatch:
    """From the lower side of the first box to the upper side of the last, upright in every row."""
    corners, kinds = [(points[0][0], points[0][1] + BOX / 2)], [Curve.MOVETO]
    for (x, y), (to_x, to_y) in pairwise(points):
        above, below = y + BOX / 2, to_y - BOX / 2
        middle = (above + below) / 2
        corners += [(x, above), (x, middle), (to_x, middle), (to_x, below)]
        kinds += [Curve.LINETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]
    curve = Curve(corners, kinds)
    return FancyArrowPatch(path=curve, arrowstyle="-|>", mutation_scale=7, color="0.45", lw=0.8)
