"""A label of every video, perhaps another than the data set's own, and which few-label methods may use."""

from __future__ import annotations

from pathlib import Path

from vidkd.config.data import WITH_LABELS, DataSettings
from vidkd.data.adapters.registry import find_adapter
from vidkd.data.adapters.table import VideoTable
from vidkd.data.tables import UNLABELLED, classes_text, write_rows
from vidkd.files import write_text

COLUMNS = ["video_id", "label_id", "labelled", "label_ids"]
"""`label_ids`: every label of a video, with `;` between; the first one is `label_id`."""


def write_labels(
    settings: DataSettings, root: Path, annotations: Path, labels_csv: Path, classes_json: Path
) -> None:
    """Write COLUMNS of every video, and the class names; of several labels that of `settings.label`.

    Raises:
        UserError: see the adapter.
    """
    videos, classes = find_adapter(settings.adapter)(settings, root, annotations)
    position = {name: label_id for label_id, name in enumerate(classes)}
    if settings.adapter not in WITH_LABELS:
        mark(videos, settings.labelled)
    rows = (
        {
            "video_id": video.video_id,
            "label_id": str(position.get(video.label, UNLABELLED)),
            "labelled": str(video.labelled).lower(),
            "label_ids": ";".join(str(position[name]) for name in video.names),
        }
        for video in videos
    )
    write_rows(labels_csv, rows, COLUMNS)
    write_text(classes_json, classes_text(classes))


def mark(videos: VideoTable, share: float) -> None:
    """Mark a share of each class's training videos as labelled, at least one, and the others as not.

    They are chosen by a hash of their ids: more videos, or a larger share, take no mark away but at the edge.
    """
    videos.change(
        """UPDATE video SET labelled = video_id IN (
            SELECT video_id FROM (
                SELECT video_id, count(*) OVER (PARTITION BY label) AS total,
                    row_number() OVER (PARTITION BY label ORDER BY sha256(video_id)) - 1 AS before
                FROM video WHERE split = 'train' AND label <> ''
            ) WHERE before < ? * total
        ) WHERE split = 'train'""",
        share,
    )
