"""Test clips that are shown: some of each class, and those that a network takes for another class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vidkd.data.frames import FrameStore
from vidkd.data.sampling import segment_centres
from vidkd.errors import UserError
from vidkd.evaluate.classes import carried_classes, read_predictions
from vidkd.report.strips import draw_strips, draw_words

CLIPS, MISTAKES = 12, 8
"""Clips of the contact sheet, and mistakes, at most."""

FRAMES = 8
"""Of each clip, evenly spaced."""


def draw_clips(shards: Sequence[Path], classes: Sequence[str], figures: Sequence[Path]) -> None:
    """Draw the first clip of each class, by video id, then the second, up to CLIPS.

    Args:
        shards: frame stores of the test split.
        classes: class names by label id.
        figures: files to write.

    Raises:
        UserError: a frame store cannot be read.
    """
    store = FrameStore(shards)
    table = pd.DataFrame({"video_id": store.video_ids, "label_id": store.label_ids})
    chosen = chosen_clips(table)
    strips = [
        (classes[label_id], frames_of(store, row))
        for row, label_id in zip(chosen.index.tolist(), chosen["label_id"], strict=True)
    ]
    draw_strips(f"{len(strips)} of the {len(store)} test clips", strips, figures)


def chosen_clips(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of CLIPS clips, as many of each class as can be, in the order of the classes."""
    table = table.sort_values("video_id")
    turn = table.groupby("label_id").cumcount().rename("turn")
    order = pd.concat([table, turn], axis="columns").sort_values(["turn", "label_id"], kind="stable")
    return order.head(CLIPS).sort_values(["label_id", "turn"], kind="stable")


def draw_mistakes(
    name: str, predictions: Path, shards: Sequence[Path], classes: Sequence[str], figures: Sequence[Path]
) -> None:
    """Draw the clips that get a class they do not carry, up to MISTAKES, or say that there is none.

    Args:
        name: of the variant.
        predictions: of it on the test split.
        shards: frame stores of the test split.
        classes: class names by label id.
        figures: files to write.

    Raises:
        UserError: a frame store cannot be read, or lacks a video of the predictions.
    """
    table = read_predictions(predictions)
    wrong = mistakes(table)
    if wrong.empty:
        draw_words(f"{name} makes no mistake on the {len(table)} test clips.", figures)
        return
    store = FrameStore(shards)
    shown = [row for _, row in wrong.head(MISTAKES).iterrows()]
    strips = [
        (mistake_title(row, classes), frames_of(store, row_of(store, row["video_id"]))) for row in shown
    ]
    heading = f"{name}: {len(shown)} of its {len(wrong)} mistakes on the {len(table)} test clips"
    draw_strips(heading, strips, figures)


def mistakes(table: pd.DataFrame) -> pd.DataFrame:
    """The rows whose class no label of the clip is, the most confident first.

    Their `p` is the score of the class that they get, NaN where the predictions have no scores.
    """
    carried = carried_classes(table)
    wrong = [pred not in of for pred, of in zip(table["pred"], carried, strict=True)]
    scores = [row.get(f"s_{row['pred']}", np.nan) for _, row in table[wrong].iterrows()]
    found = table[wrong].assign(p=np.array(scores, dtype=float))
    return found.sort_values(["p", "video_id"], ascending=[False, True])


def mistake_title(row: pd.Series, classes: Sequence[str]) -> str:
    """Label, prediction, and how sure it was."""
    sure = "" if pd.isna(row["p"]) else f", p = {row['p']:.2f}"
    return f"{classes[row['label_id']]} → {classes[row['pred']]}{sure}"


def row_of(store: FrameStore, video_id: str) -> int:
    """Number of a video in a store.

    Raises:
        UserError: it is not there.
    """
    if video_id not in store.video_ids:
        raise UserError(f"no frame store has the video {video_id!r}: give those that were predicted")
    return store.video_ids.index(video_id)


def frames_of(store: FrameStore, row: int) -> np.ndarray:
    """FRAMES evenly spaced frames of a clip: uint8 (FRAMES, H, W, 3)."""
    return store.clip(row, segment_centres(store.per_video, FRAMES))
