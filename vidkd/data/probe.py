"""Probing: what each listed video really holds, and which ones cannot be used."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

from vidkd.data.adapters.table import LISTED
from vidkd.data.tables import EXCLUDED, OK, UNLABELLED, Row, read_classes, read_rows, write_rows
from vidkd.engine.logging import progress
from vidkd.errors import UserError
from vidkd.video.decode import UnreadableVideo, VideoInfo, probe_video

_INFO_COLUMNS = [field.name for field in fields(VideoInfo)]
COLUMNS = [*LISTED, "label_id", "shard", *_INFO_COLUMNS, "status", "reason", "detail"]


def probe_shard(
    videos_csv: Path, classes_json: Path, shard: int, root: Path, output_csv: Path
) -> tuple[int, int]:
    """Probe the videos of one shard and write them with label id, shard and what they hold.

    Args:
        videos_csv: `shard_{k}.csv` of the listing.
        classes_json: class names; a label id is a position in it.
        shard: its number.
        root: folder that paths are relative to.
        output_csv: the same rows with more columns; columns of an unreadable video are empty.

    Returns:
        How many videos are usable, and how many are excluded.

    Raises:
        UserError: an input is missing or malformed, or a label is not a class.
    """
    rows = read_rows(videos_csv)
    label_ids = {name: position for position, name in enumerate(read_classes(classes_json))}
    for row in progress(rows, f"probe shard {shard}"):
        if row["label"] and row["label"] not in label_ids:
            raise UserError(
                f"{videos_csv}: label {row['label']!r} is not in {classes_json}: list the videos again"
            )
        label_id = label_ids.get(row["label"], UNLABELLED)
        row |= {"label_id": str(label_id), "shard": str(shard), **_probed(root / row["path"])}
    write_rows(output_csv, rows, COLUMNS)
    excluded = sum(row["status"] == EXCLUDED for row in rows)
    return len(rows) - excluded, excluded


def _probed(path: Path) -> Row:
    try:
        info = probe_video(path)
    except UnreadableVideo as problem:
        why = {"status": EXCLUDED, "reason": problem.reason, "detail": problem.detail}
        return dict.fromkeys(_INFO_COLUMNS, "") | why
    values = {
        name: str(round(value, 6) if isinstance(value, float) else value)
        for name, value in asdict(info).items()
    }
    return values | {"status": OK, "reason": "", "detail": ""}
