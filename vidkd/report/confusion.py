"""Confusion matrices of any classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vidkd.data.tables import read_classes
from vidkd.evaluate.classes import confusion, read_predictions
from vidkd.methods.inputs import Inputs
from vidkd.plotting import STYLE, panels, save_figure

_SEVERAL = 12
"""Classes of which a matrix still has numbers and names."""


def draw_confusion(inputs: Inputs, figures: Sequence[Path]) -> None:
    """Draw a matrix for each: of the clips of a class (row), how many percent get which class (column).

    Args:
        inputs: predictions of a run by the name over its matrix, and class names.
        figures: files to write.
    """
    predictions = {name: inputs.result(name) for name in inputs.needs.results}
    classes = read_classes(inputs.classes)
    columns = min(3, len(predictions))
    rows = -(-len(predictions) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 * columns + 0.4, 3.6 * rows + 0.2), layout="constrained")
        axes = panels(figure, len(predictions), columns)
        for place, (name, path) in zip(axes, predictions.items(), strict=True):
            counts_KK = confusion(read_predictions(path), len(classes))
            _draw_matrix(place, name, _row_percent(counts_KK), classes)
        save_figure(figure, figures)


def _row_percent(counts_KK: NDArray[np.int64]) -> NDArray[np.float64]:
    """(K, K) percent of the sum of each row; NaN where that is 0."""
    sums_K1 = counts_KK.sum(axis=1, keepdims=True)
    return np.divide(100 * counts_KK, sums_K1, out=np.full(counts_KK.shape, np.nan), where=sums_K1 > 0)


def _draw_matrix(axes: Axes, name: str, percent_KK: NDArray[np.float64], classes: Sequence[str]) -> None:
    axes.imshow(percent_KK, cmap="Blues", vmin=0, vmax=100)
    axes.set_title(name, fontsize=10)
    axes.set(xlabel="predicted", ylabel="label")
    if len(classes) > _SEVERAL:
        return
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", fontsize=7, parse_math=False)
    axes.set_yticks(range(len(classes)), classes, fontsize=7, parse_math=False)
    for row, column in np.ndindex(percent_KK.shape):
        value = percent_KK[row, column]
        if not np.isnan(value):
            colour = "white" if value > 60 else "black"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=colour)
