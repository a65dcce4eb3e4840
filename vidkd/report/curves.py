"""Training curves of any method: a panel for each loss term and each validation figure of its runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidkd.artefacts import read_json
from vidkd.errors import UserError
from vidkd.evaluate.tables import read_csv
from vidkd.methods.inputs import Inputs
from vidkd.plotting import MARKERS, STYLE, panels, save_figure

_TITLES = {
    "teacher_feature_loss": "teacher's features",
    "assistant_feature_loss": "assistant's features",
    "teacher_attention_loss": "teacher's attention",
    "assistant_attention_loss": "assistant's attention",
    "val_loss": "validation loss",
}
"""What a column is called whose words do not say it."""

_WORDS = {
    "acc": "top-1 (%)",
    "barlow": "Barlow Twins",
    "ce": "cross-entropy",
    "infonce": "InfoNCE",
    "kl": "KL",
    "l1": "L1",
    "l2": "L2",
    "loss": "term",
    "r2": "R²",
    "top1": "top-1 (%)",
    "val": "validation",
    "vicreg": "VICReg",
}
"""Words of the names of columns that are written otherwise in a title."""

_Runs = Mapping[str, Sequence[pd.DataFrame]]
"""The history of each run of each variant."""


def draw_curves(inputs: Inputs, figures: Sequence[Path]) -> None:
    """Draw a curve for each variant in every panel: mean over its runs, by the share of training.

    Variants differ in how many epochs they have; what they have in common is that they end.

    Args:
        inputs: `history.csv` of each run by variant, beside its `config.json`.
        figures: files to write.
    """
    runs = {name: [_read_history(path) for path in inputs.results(name)] for name in inputs.needs.results}
    columns = _panel_columns(runs)
    with mpl.rc_context(STYLE):
        rows = -(-len(columns) // 3)
        figure = Figure(figsize=(9, 2.5 * rows + 0.2 * -(-len(runs) // 4) + 0.3), layout="constrained")
        axes = panels(figure, len(columns), 3)
        for place, column in zip(axes, columns, strict=True):
            _draw_panel(place, runs, column)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        save_figure(figure, figures)


def _read_history(path: Path) -> pd.DataFrame:
    """The epochs of one run; of several trials those of the one that validation has taken.

    Raises:
        UserError: there is no such file.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}: give the history.csv of a finished training")
    table = read_csv(path)
    if "trial" not in table:
        return table
    config = read_json(path.with_name("config.json"))
    return table[table["trial"] == config["trial"]]


def _panel_columns(runs: _Runs) -> list[str]:
    """Columns that are drawn: loss terms, then validation losses, then other validation figures."""
    there = dict.fromkeys(column for tables in runs.values() for table in tables for column in table.columns)
    terms = [name for name in there if name.endswith("_loss")]
    validated = [name for name in there if name.startswith("val_")]
    return [
        *(name for name in terms if name not in validated),
        *(name for name in validated if name in terms),
        *(name for name in validated if name not in terms),
    ]


def panel_title(column: str) -> str:
    """Say in words what a column of `history.csv` is."""
    if column in _TITLES:
        return _TITLES[column]
    words = [_WORDS.get(word, word) for word in column.split("_")]
    counts = [word for word in words if re.fullmatch(r"\d+f", word)]
    at = [f"at {count[:-1]} frame{'s' if count != '1f' else ''}" for count in counts]
    return " ".join([*(word for word in words if word not in counts), *at])


def _draw_panel(axes: Axes, runs: _Runs, column: str) -> None:
    for number, (name, tables) in enumerate(runs.items()):
        style: Any = {
            "marker": MARKERS[number % len(MARKERS)],
            "markersize": 3,
            "color": f"C{number % 10}",
            "linestyle": ("-", "--", ":")[number // 10 % 3],
            "label": name,
        }
        axes.plot(*_mean_curve(tables, column), **style)
    axes.set(xlim=(-0.02, 1.02), xlabel="share of training")
    axes.set_title(panel_title(column), fontsize=10)
    axes.grid(alpha=0.3)


def _mean_curve(tables: Sequence[pd.DataFrame], column: str) -> tuple[pd.Series, pd.Series]:
    """Shares of training and means over the runs; empty where none has the column."""
    every = pd.concat([table.reindex(columns=["epoch", column]) for table in tables])
    mean = every.dropna().groupby("epoch")[column].mean()
    # A control that is never trained has epoch 0 alone.
    return mean.index.to_series() / (every["epoch"].max() or 1), mean
