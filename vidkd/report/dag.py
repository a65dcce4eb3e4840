"""The figure of the rules of a run: a box for each rule, an arrow for each dependency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import networkx as nx
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from vidkd.plotting import STYLE, save_figure

# In points. A page of 1100 pixels has 825 of them.
PAGE, STEP = 780.0, 46.0
_FONT, LETTER, _PADDING = 8.0, 5.0, 20.0
_LEGEND_COLUMNS, _LEGEND_LINE = 7, 14.0

_Place = tuple[float, float]


def draw_dag(stages: Mapping[str, str], edges: Iterable[Sequence[str]], figures: Sequence[Path]) -> None:
    """Draw the rules from top to bottom, coloured by stage; arrows that follow from others are paler.

    Args:
        stages: stage of each rule by name.
        edges: pairs of names: a rule, and one that reads its output.
        figures: files to write.
    """
    graph = nx.DiGraph()
    graph.add_nodes_from(sorted(stages))
    graph.add_edges_from(sorted((start, end) for start, end in edges))
    direct = set(nx.transitive_reduction(graph).edges)
    places = place_rules(graph)
    names = list(dict.fromkeys(stages[rule] for rule in places))
    colours = {name: _pale(number) for number, name in enumerate(names)}
    height = max(y for _, y in places.values()) + STEP / 2
    legend = _LEGEND_LINE * (1 + -(-len(names) // _LEGEND_COLUMNS))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE / 72, (height + legend) / 72))
        axes = figure.add_axes((0, legend / (height + legend), 1, height / (height + legend)))
        axes.set(xlim=(0, PAGE), ylim=(height, 0))
        axes.axis("off")
        for start, end in sorted(graph.edges, key=direct.__contains__):
            _draw_arrow(axes, places[start], places[end], "0.5" if (start, end) in direct else "0.87")
        for rule, place in places.items():
            box = {"boxstyle": "round", "facecolor": colours[stages[rule]], "edgecolor": "0.4", "lw": 0.6}
            axes.text(*place, rule, ha="center", va="center", fontsize=_FONT, bbox=box)
        patches = [Patch(facecolor=colour, edgecolor="0.4", label=name) for name, colour in colours.items()]
        figure.legend(
            handles=patches, loc="lower center", ncols=_LEGEND_COLUMNS, frameon=False, fontsize=_FONT
        )
        save_figure(figure, figures)


def place_rules(graph: nx.DiGraph) -> dict[str, _Place]:
    """Find the middle of each box: below those that it depends on, and in their order along the row."""
    places: dict[str, _Place] = {}
    rows = 0
    for generation in nx.topological_generations(graph):
        above = {rule: [places[other][0] for other in graph.predecessors(rule)] for rule in generation}
        ordered = sorted(generation, key=lambda rule: (sum(above[rule]) / max(1, len(above[rule])), rule))
        widest = max(LETTER * len(rule) + _PADDING for rule in ordered)
        lines = -(-len(ordered) // max(1, int(PAGE // widest)))
        for line in range(lines):
            row = ordered[line::lines]
            for number, rule in enumerate(row):
                places[rule] = (PAGE * (number + 0.5) / len(row), STEP * (rows + 0.5))
            rows += 1
    return places


def _pale(number: int) -> tuple[float, float, float]:
    """A colour of matplotlib's cycle mixed with white; every other ten are paler."""
    share = 0.35 - 0.2 * (number // 10 % 2)
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(f"C{number % 10}"))
    return red, green, blue


def _draw_arrow(axes: Axes, start: _Place, end: _Place, colour: str) -> None:
    """From the lower side of one box to the upper side of another."""
    look = {"arrowstyle": "-|>", "color": colour, "lw": 0.8, "mutation_scale": 7, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (end[0], end[1] - _FONT), (start[0], start[1] + _FONT), arrowprops=look)
