"""Labels of `list_labels`, read back: a module of its own, so that no adapter trains a network anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidkd.data.tables import UNLABELLED, read_rows
from vidkd.errors import UserError


def read_labels(
    labels_csv: Path, video_ids: Sequence[str], n_classes: int, *, marked_only: bool = False
) -> NDArray[np.int32]:
    """Read the label ids of these videos, in their order.

    Args:
        labels_csv: of `vidkd.data.labels.write_labels`.
        video_ids: the videos.
        n_classes: K; every label id is below it.
        marked_only: videos that are not marked as labelled count as UNLABELLED.

    Raises:
        UserError: a video is not listed, a label is none of the classes, or the file is none of labels.
    """
    try:
        labels = {
            row["video_id"]: int(row["label_id"])
            if row["labelled"] == "true" or not marked_only
            else UNLABELLED
            for row in read_rows(labels_csv)
        }
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"{labels_csv} is not what list_labels writes ({error!r}): delete it and run again"
        ) from error
    if missing := [name for name in video_ids if name not in labels]:
        raise UserError(
            f"{labels_csv} has no label of {len(missing)} videos, {missing[0]!r} among them: list_labels "
            "makes it anew from the annotations when it is deleted"
        )
    found = np.array([labels[name] for name in video_ids], np.int32)
    if len(wrong := np.flatnonzero((found < UNLABELLED) | (found >= n_classes))):
        raise UserError(
            f"{labels_csv} gives video {video_ids[wrong[0]]!r} the label {found[wrong[0]]}, and there are "
            f"{n_classes} classes: give labels and class names of one label"
        )
    return found


def read_label_sets(labels_csv: Path, video_ids: Sequence[str], n_classes: int) -> NDArray[np.bool_] | None:
    """Read which classes each video carries (N, K); None where no listed video carries several.

    Args:
        labels_csv: of `vidkd.data.labels.write_labels`.
        video_ids: the videos, in the order of the rows.
        n_classes: K.

    Raises:
        UserError: see read_labels.
    """
    read_labels(labels_csv, video_ids, n_classes)
    sets = {row["video_id"]: row.get("label_ids") or "" for row in read_rows(labels_csv)}
    if not any(";" in text for text in sets.values()):
        return None
    found_NK = np.zeros((len(video_ids), n_classes), np.bool_)
    for row, name in enumerate(video_ids):
        found_NK[row, [int(label_id) for label_id in sets[name].split(";") if label_id]] = True
    return found_NK


def label_ids_column(labels_csv: Path, video_ids: Sequence[str], n_classes: int) -> dict[str, list[str]]:
    """Make a column of predictions: all classes of a video with `;` between; none where none has several."""
    set_NK = read_label_sets(labels_csv, video_ids, n_classes)
    if set_NK is None:
        return {}
    return {"label_ids": [";".join(map(str, np.flatnonzero(set_K))) for set_K in set_NK]}
