"""The frames of a few test clips, and the weight that a student gave to each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidkd.data.frames import FrameStore
from vidkd.data.sampling import evaluation_positions
from vidkd.evaluate.classes import read_predictions
from vidkd.methods.student.settings import StudentSettings

Attended = tuple[str, NDArray[np.uint8], NDArray[np.float64]]
"""Title, frames (T, H, W, 3) and weights (T)."""


def attended_clips(
    predictions: Path, config_json: Path, shards: list[Path], clips: int = 6
) -> list[Attended]:
    """The first clip of each class, up to `clips` of them, by video id.

    Args:
        predictions: of a student on the test split.
        config_json: `config.json` of its run.
        shards: frame stores of the test split.
        clips: how many at most.

    Raises:
        UserError: a frame store cannot be read.
    """
    config = json.loads(config_json.read_text(encoding="utf-8"))
    settings = StudentSettings.model_validate(config["settings"])
    table = read_predictions(predictions).sort_values("video_id")
    first = table.groupby("label_id").head(1).sort_values("label_id").head(clips)
    store = FrameStore(shards)
    row_of = {name: row for row, name in enumerate(store.video_ids)}
    positions = evaluation_positions(store.per_video, settings.frames, settings)
    found: list[Attended] = []
    for row in first.to_dict("records"):
        label, pred = (config["classes"][row[name]] for name in ("label_id", "pred"))
        said = "" if label == pred else f", taken for {pred}"
        weights = np.array([row[f"a_{t}"] for t in range(settings.frames)])
        images = store.clip(row_of[row["video_id"]], positions)
        found.append((f"{row['video_id']}: {label}{said}", images, weights))
    return found
