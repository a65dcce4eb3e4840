"""Test clips that are shown: some of each class, and those that a network takes for another class."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vidkd.data.frames import FrameStore
from vidkd.data.sampling import segment_centres
from vidkd.data.tables import read_classes
from vidkd.errors import UserError
from vidkd.evaluate.classes import carried_classes, read_predictions
from vidkd.methods.inputs import Inputs
from vidkd.plotting import STYLE, save_figure

CLIPS, MISTAKES = 12, 8
"""Clips of the contact sheet, and mistakes, at most."""

_FRAMES = 8
"""Of each clip, evenly spaced."""

_Strip = tuple[str, NDArray[np.uint8]]
"""A title, and frames (T, H, W, 3)."""

_FRAME, _MARGIN, _LINE = 0.84, 0.15, 0.17
"""Width of a frame, space at the sides and height of a line, in inches."""

_DPI = 100
"""Of the pixels, those inside an svg as well: a page holds a few hundred frames."""

_LETTERS = 90
"""Of a title on one line."""


def draw_clips(inputs: Inputs, figures: Sequence[Path]) -> None:
    """Draw the first clip of each class, by video id, then the second, up to CLIPS.

    Args:
        inputs: frames of the test split, and class names.
        figures: files to write.

    Raises:
        UserError: a frame store cannot be read.
    """
    store, classes = FrameStore(inputs.frames("test")), read_classes(inputs.classes)
    table = pd.DataFrame({"video_id": store.video_ids, "label_id": store.label_ids})
    chosen = chosen_clips(table)
    strips = [
        (classes[label_id], _frames_of(store, row))
        for row, label_id in zip(chosen.index.tolist(), chosen["label_id"], strict=True)
    ]
    draw_strips(f"{len(strips)} of the {len(store)} test clips", strips, figures)


def chosen_clips(table: pd.DataFrame) -> pd.DataFrame:
    """Choose the rows of CLIPS clips, as many of each class as can be, in the order of the classes."""
    table = table.sort_values("video_id")
    turn = table.groupby("label_id").cumcount().rename("turn")
    order = pd.concat([table, turn], axis="columns").sort_values(["turn", "label_id"], kind="stable")
    return order.head(CLIPS).sort_values(["label_id", "turn"], kind="stable")


def draw_mistakes(inputs: Inputs, figures: Sequence[Path]) -> None:
    """Draw the clips that get a class they do not carry, up to MISTAKES, or say that there is none.

    Args:
        inputs: predictions by the name of the variant, frames of the test split, and class names.
        figures: files to write.

    Raises:
        UserError: a frame store cannot be read, or lacks a video of the predictions.
    """
    (name,) = inputs.needs.results
    table, classes = read_predictions(inputs.result(name)), read_classes(inputs.classes)
    wrong = _mistakes(table)
    if wrong.empty:
        _draw_words(f"{name} makes no mistake on the {len(table)} test clips.", figures)
        return
    store = FrameStore(inputs.frames("test"))
    shown = [row for _, row in wrong.head(MISTAKES).iterrows()]
    strips = [
        (_mistake_title(row, classes), _frames_of(store, _row_of(store, row["video_id"]))) for row in shown
    ]
    heading = f"{name}: {len(shown)} of its {len(wrong)} mistakes on the {len(table)} test clips"
    draw_strips(heading, strips, figures)


def _mistakes(table: pd.DataFrame) -> pd.DataFrame:
    """The rows whose class no label of the clip is, the most confident first.

    Their `p` is the score of the class that they get, NaN where the predictions have no scores.
    """
    carried = carried_classes(table)
    wrong = [pred not in of for pred, of in zip(table["pred"], carried, strict=True)]
    scores = [row.get(f"s_{row['pred']}", np.nan) for _, row in table[wrong].iterrows()]
    found = table[wrong].assign(p=np.array(scores, dtype=float))
    return found.sort_values(["p", "video_id"], ascending=[False, True])


def _mistake_title(row: pd.Series, classes: Sequence[str]) -> str:
    """Label, prediction, and how sure it was."""
    sure = "" if pd.isna(row["p"]) else f", p = {row['p']:.2f}"
    return f"{classes[row['label_id']]} → {classes[row['pred']]}{sure}"


def _row_of(store: FrameStore, video_id: str) -> int:
    """Number of a video in a store.

    Raises:
        UserError: it is not there.
    """
    if video_id not in store.video_ids:
        raise UserError(f"no frame store has the video {video_id!r}: give those that were predicted")
    return store.video_ids.index(video_id)


def _frames_of(store: FrameStore, row: int) -> np.ndarray:
    """_FRAMES evenly spaced frames of a clip: uint8 (_FRAMES, H, W, 3)."""
    return store.clip(row, segment_centres(store.per_video, _FRAMES))


def draw_strips(heading: str, strips: Sequence[_Strip], figures: Sequence[Path]) -> None:
    """Draw `strips`, one or more, each with the same number of frames, below a heading."""
    columns = len(strips[0][1])
    width = columns * _FRAME + 2 * _MARGIN
    titles = [textwrap.wrap(title, _LETTERS) for title, _ in strips]
    heights = [
        _LINE * (len(title) + 0.9) + _FRAME * frames.shape[1] / frames.shape[2]
        for title, (_, frames) in zip(titles, strips, strict=True)
    ]
    total = sum(heights) + 2 * _LINE + _MARGIN
    with mpl.rc_context(STYLE):
        # Placed by hand: the frames of all strips are equally wide.
        figure, top = Figure(figsize=(width, total)), total - 2 * _LINE
        figure.text(_MARGIN / width, 1 - 0.5 * _LINE / total, heading, va="top", parse_math=False)
        for title, (_, frames), height in zip(titles, strips, heights, strict=True):
            top -= height
            text: Any = {"fontsize": 9, "va": "top", "parse_math": False}
            figure.text(_MARGIN / width, (top + height - 0.75 * _LINE) / total, "\n".join(title), **text)
            for column, image in enumerate(frames):
                left, tall = _MARGIN + column * _FRAME, _FRAME * image.shape[0] / image.shape[1]
                box = (left / width, top / total, 0.97 * _FRAME / width, 0.97 * tall / total)
                axes = figure.add_axes(box)
                axes.imshow(image, aspect="auto")
                axes.set_axis_off()
        save_figure(figure, figures, _DPI)


def _draw_words(text: str, figures: Sequence[Path]) -> None:
    """A sentence in the place of strips, where there is none to draw."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8 * _FRAME + 2 * _MARGIN, 0.6))
        figure.text(0.5, 0.5, text, ha="center", va="center", parse_math=False)
        save_figure(figure, figures)
