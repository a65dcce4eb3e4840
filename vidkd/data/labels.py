"""Another label than the data set's own, where its videos carry several."""

from __future__ import annotations

from pathlib import Path

from vidkd.config.data import WITH_LABELS, DataSettings
from vidkd.data.adapters.registry import find_adapter
from vidkd.data.tables import classes_text, write_rows
from vidkd.errors import UserError
from vidkd.files import write_text


def write_labels(
    settings: DataSettings, root: Path, annotations: Path, labels_csv: Path, classes_json: Path
) -> None:
    """Write `video_id, label_id` of every video, and the class names, as if `settings.label` were the label.

    Raises:
        UserError: the videos of this adapter have one label each, or see the adapter.
    """
    if settings.adapter not in WITH_LABELS:
        raise UserError(f"the videos of data.adapter {settings.adapter} have one label each")
    videos, classes = find_adapter(settings.adapter)(settings, root, annotations)
    position = {name: label_id for label_id, name in enumerate(classes)}
    rows = ({"video_id": video.video_id, "label_id": str(position[video.label])} for video in videos)
    write_rows(labels_csv, rows, ["video_id", "label_id"])
    write_text(classes_json, classes_text(classes))
