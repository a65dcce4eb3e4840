"""Where the boxes of a directed graph go: in rows from top to bottom, so that lines are short and few cross.

Lengths are in points; x grows to the right, y downwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import networkx as nx
import numpy as np
from scipy.optimize import isotonic_regression

Edge = tuple[str, str]
Point = tuple[float, float]

SWEEPS = 100
STIFFNESS = 4.0
"""How much more a line keeps straight than a box keeps to the middle of its neighbours."""


@dataclass(frozen=True)
class Node:
    """A box, or the place where the line from a box passes a row on its way to another."""

    name: str
    row: int
    to: str = ""


@dataclass(frozen=True)
class Sizes:
    """Of boxes and of what is between them.

    Attributes:
        width: of each box.
        page: width that no row exceeds unless it must.
        gap: between neighbours of a row.
        step: from the middle of a row to that of the next.
    """

    width: Mapping[str, float]
    page: float
    gap: float
    step: float

    def of(self, node: Node) -> float:
        """Width of a box, or of a line that passes."""
        return 0.0 if node.to else self.width[node.name]

    def offsets(self, row: Sequence[Node]) -> np.ndarray:
        """The middle of each node of a row where all stand as far left as they may."""
        widths = [self.of(node) for node in row]
        apart = [(one + other) / 2 + self.gap for one, other in pairwise(widths)]
        return widths[0] / 2 + np.cumsum([0.0, *apart])


@dataclass(frozen=True)
class Layout:
    """A drawing.

    Attributes:
        centres: the middle of each box.
        lines: the points of each line, from the middle of one box to that of another.
        width: of the whole.
        height: of the whole.
    """

    centres: dict[str, Point]
    lines: dict[Edge, list[Point]]
    width: float
    height: float


def layered(names: Iterable[str], edges: Iterable[Edge], sizes: Sizes) -> Layout:
    """Lay out a graph without cycles; an edge that follows from others is left out."""
    graph = nx.DiGraph()
    graph.add_nodes_from(sorted(names))
    graph.add_edges_from(edges)
    graph = nx.transitive_reduction(graph)
    number = _row_numbers(graph, sizes)
    boxes = {name: Node(name, number[name]) for name in graph}
    # Sorted: networkx gives them in the order of a set, which is another in each process.
    paths = {(start, end): _path(boxes[start], boxes[end]) for start, end in sorted(graph.edges)}
    links = nx.DiGraph()
    links.add_nodes_from(boxes.values())
    links.add_edges_from(link for path in paths.values() for link in pairwise(path))
    rows = _ordered(_rows(links), links)
    place = _placed(rows, links, sizes)
    return Layout(
        {name: place[box] for name, box in boxes.items()},
        {edge: [place[node] for node in path] for edge, path in paths.items()},
        max(place[node][0] + sizes.of(node) / 2 for node in links),
        len(rows) * sizes.step,
    )


def _row_numbers(graph: nx.DiGraph, sizes: Sizes) -> dict[str, int]:
    """For each box a row below all that it needs, the first with room; then one nearer to what reads it."""
    readers = {name: len(nx.descendants(graph, name)) for name in graph}
    number: dict[str, int] = {}
    for generation in nx.topological_generations(graph):
        for name in sorted(generation, key=lambda name: (-readers[name], name)):
            first = max((number[needed] + 1 for needed in graph.predecessors(name)), default=0)
            number[name] = _with_room(name, range(first, first + len(graph)), number, sizes)
    for name in reversed(list(nx.lexicographical_topological_sort(graph))):
        if graph.out_degree(name) > graph.in_degree(name):
            last = min(number[reader] for reader in graph.successors(name)) - 1
            number[name] = _with_room(name, range(last, number[name] - 1, -1), number, sizes)
    return number


def _with_room(name: str, rows: Iterable[int], number: Mapping[str, int], sizes: Sizes) -> int:
    """The first of `rows` that is not full, of which there is one."""

    def fits(row: int) -> bool:
        others = [other for other in number if number[other] == row and other != name]
        filled = sum(sizes.width[other] + sizes.gap for other in others)
        return not others or filled + sizes.width[name] <= sizes.page

    return next(row for row in rows if fits(row))


def _path(start: Node, end: Node) -> list[Node]:
    """What a line goes through, from one box to the other."""
    return [start, *(Node(start.name, row, end.name) for row in range(start.row + 1, end.row)), end]


def _rows(links: nx.DiGraph) -> list[list[Node]]:
    """The nodes of each row; for a start, those that are linked are near each other."""
    rows: list[list[Node]] = [[] for _ in range(1 + max(node.row for node in links))]
    both_ways, seen = links.to_undirected(), set[Node]()
    for first in sorted(links, key=lambda node: (node.row, node.name, node.to)):
        if first not in seen:
            part = list(nx.dfs_preorder_nodes(both_ways, first))
            seen.update(part)
            for node in part:
                rows[node.row].append(node)
    return rows


def _ordered(rows: list[list[Node]], links: nx.DiGraph) -> list[list[Node]]:
    """Rows in an order of few crossings: the best of sweeps down and up, and then neighbours switched."""
    best, fewest = rows, _crossings(rows, links)
    for sweep in range(SWEEPS):
        rows = _swept(rows, links.pred) if sweep % 2 == 0 else _swept(rows[::-1], links.succ)[::-1]
        if (found := _crossings(rows, links)) < fewest:
            best, fewest = rows, found
    return _switched(best, links)


def _swept(rows: Sequence[list[Node]], before: Mapping[Node, Iterable[Node]]) -> list[list[Node]]:
    """Each row in the order of the mean place of what its nodes are linked to in the row before."""
    place: dict[Node, float] = {}
    found = []
    for row in rows:
        own = _shares(row)
        wanted = {node: _mean([place[other] for other in before[node]], own[node]) for node in row}
        found.append(sorted(row, key=lambda node: (wanted[node], own[node])))
        place |= _shares(found[-1])
    return found


def _shares(row: Sequence[Node]) -> dict[Node, float]:
    """How far along the row each node is, from 0 to 1."""
    return {node: index / max(1, len(row) - 1) for index, node in enumerate(row)}


def _switched(rows: Iterable[Sequence[Node]], links: nx.DiGraph) -> list[list[Node]]:
    """Rows of which no two neighbours would cross fewer lines the other way round."""
    switched = [list(row) for row in rows]
    place = {node: index for row in switched for index, node in enumerate(row)}
    better = True
    while better:
        better = False
        for row in switched:
            for index in range(len(row) - 1):
                left, right = row[index : index + 2]
                if _crossed(left, right, place, links) > _crossed(right, left, place, links):
                    row[index : index + 2] = right, left
                    place |= {right: index, left: index + 1}
                    better = True
    return switched


def _crossed(left: Node, right: Node, place: Mapping[Node, int], links: nx.DiGraph) -> int:
    """How many lines of one neighbour cross those of the other."""
    sides = (links.pred, links.succ)
    return sum(place[a] > place[b] for side in sides for a in side[left] for b in side[right])


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _crossings(rows: Iterable[Sequence[Node]], links: nx.DiGraph) -> int:
    """How many pairs of lines cross between neighbouring rows."""
    place = {node: index for row in rows for index, node in enumerate(row)}
    count = 0
    for row in rows:
        ends = [(place[node], place[below]) for node in row for below in links.succ[node]]
        count += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(ends, 2))
    return count


def _placed(rows: Sequence[list[Node]], links: nx.DiGraph, sizes: Sizes) -> dict[Node, Point]:
    """The middle of each node: as near to the middle of its neighbours as the others of its row let it."""
    packed = [(row, sizes.offsets(row)) for row in rows]
    ends = [offsets[-1] + sizes.of(row[-1]) / 2 for row, offsets in packed]
    width = max(sizes.page, *ends)
    x = {node: float(at) for row, offsets in packed for node, at in zip(row, offsets, strict=True)}
    moves = [(row, offsets, width - end) for (row, offsets), end in zip(packed, ends, strict=True)]
    for sweep in range(SWEEPS):
        for row, offsets, room in moves if sweep % 2 == 0 else reversed(moves):
            x |= zip(row, _moved(row, offsets, room, x, links), strict=True)
    left = min(x[node] - sizes.of(node) / 2 for node in x)
    return {node: (x[node] - left, (node.row + 0.5) * sizes.step) for node in x}


def _moved(
    row: Sequence[Node], offsets: np.ndarray, room: float, x: Mapping[Node, float], links: nx.DiGraph
) -> list[float]:
    """Places of a row's nodes, in its order, each near the mean of its neighbours' and apart from the others.

    With all as far left as they may, at `offsets`, `room` is left on the page.
    """
    beside = [[*links.pred[node], *links.succ[node]] for node in row]
    wanted = [_mean([x[other] for other in of], x[node]) for node, of in zip(row, beside, strict=True)]
    weights = [STIFFNESS if node.to else 1.0 for node in row]
    shifts = isotonic_regression(np.array(wanted) - offsets, weights=weights).x
    return list(np.clip(shifts, 0.0, room) + offsets)
