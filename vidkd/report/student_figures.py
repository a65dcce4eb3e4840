"""Figures of students: training curves, confusion matrices, and the weights of frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vidkd.evaluate.classes import read_predictions
from vidkd.report.figures import MARKERS, STYLE, save_figure

PANELS = {
    "feature_loss": "feature term",
    "hint_loss": "hint term",
    "response_loss": "response term",
    "task_loss": "task term",
    "val_cosine": "validation cosine",
    "val_top1": "validation top-1 (%)",
}
"""Columns of `history.csv` that are drawn, where some run has them; terms are as they are added up."""

TRIMODEL_PANELS = {
    "task_loss": "task term",
    "teacher_feature_loss": "teacher's features",
    "assistant_feature_loss": "assistant's features",
    "teacher_attention_loss": "teacher's attention",
    "assistant_attention_loss": "assistant's attention",
    "asymmetric_loss": "asymmetric term",
    "val_loss": "validation loss",
    "val_top1": "validation top-1 (%)",
}
"""The same of students with a teacher and an assistant."""

SEVERAL = 12
"""Classes of which a matrix still has numbers and names."""


def draw_curves(
    histories: Mapping[str, Sequence[Path]], figures: Sequence[Path], panels: Mapping[str, str] = PANELS
) -> None:
    """A panel for each of the columns, a curve for each variant: mean over seeds, by the share of training.

    Variants differ in how many epochs they have; what they have in common is that they end.
    """
    tables = {name: [pd.read_csv(path) for path in paths] for name, paths in histories.items()}
    there = [name for name in panels if any(name in runs[0] for runs in tables.values())]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.6 * -(-len(there) // 3) + 0.6), layout="constrained")
        axes = figure.subplots(-(-len(there) // 3), 3, squeeze=False).ravel()
        for place, column in zip(axes, there, strict=False):
            _draw_panel(place, tables, column, panels[column])
        for place in axes[len(there) :]:
            place.set_axis_off()
        handles, labels = axes[len(there) - 1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        save_figure(figure, figures)


def draw_confusion(predictions: Mapping[str, Path], classes: Sequence[str], figures: Sequence[Path]) -> None:
    """A matrix for each: of the clips of a class (row), how many percent get which class (column)."""
    columns = min(3, len(predictions))
    rows = -(-len(predictions) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 * columns + 0.4, 3.7 * rows + 0.4), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for place, (name, path) in zip(axes, predictions.items(), strict=False):
            _draw_matrix(place, name, confusion(read_predictions(path), len(classes)), classes)
        for place in axes[len(predictions) :]:
            place.set_axis_off()
        save_figure(figure, figures)


def confusion(table: pd.DataFrame, n_classes: int) -> NDArray[np.float64]:
    """(K, K) percent of the clips of a class (row) that get which class (column); NaN without clips."""
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (table["label_id"].to_numpy(), table["pred"].to_numpy()), 1)
    with np.errstate(invalid="ignore"):
        return 100 * counts / counts.sum(axis=1, keepdims=True)


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
            figure.text(0.02, 1 - (number + 0.1) / rows, title, fontsize=9)
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


def _draw_panel(axes: Axes, tables: Mapping[str, Sequence[pd.DataFrame]], column: str, title: str) -> None:
    for number, (name, runs) in enumerate(tables.items()):
        drawn = [run.dropna(subset=[column]) for run in runs if column in run]
        style: Any = {
            "marker": MARKERS[number % len(MARKERS)],
            "markersize": 3,
            "color": f"C{number % 10}",
            "label": name,
        }
        if not drawn:
            axes.plot([], [], **style)
            continue
        mean = pd.concat(drawn).groupby("epoch")[column].mean()
        axes.plot(mean.index / runs[0]["epoch"].max(), mean, **style)
    axes.set(title=title, xlim=(0, 1.02), xlabel="share of training")
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.3)


def _draw_matrix(axes: Axes, name: str, percent: NDArray[np.float64], classes: Sequence[str]) -> None:
    axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    axes.set_title(name, fontsize=10)
    axes.set(xlabel="predicted", ylabel="label")
    if len(classes) > SEVERAL:
        return
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", fontsize=7)
    axes.set_yticks(range(len(classes)), classes, fontsize=7)
    for row, column in np.ndindex(percent.shape):
        value = percent[row, column]
        if not np.isnan(value):
            colour = "white" if value > 60 else "black"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=colour)
