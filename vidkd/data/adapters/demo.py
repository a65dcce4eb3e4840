"""The generated videos of the demo: `{split}.csv` beside the folders of videos, several attributes each."""

from __future__ import annotations

import csv
from pathlib import Path

from vidkd.config.data import SPLITS, DataSettings
from vidkd.data.adapters.base import Listing, Video, read_lines
from vidkd.errors import UserError


def list_videos(settings: DataSettings, root: Path, annotations: Path) -> tuple[list[Video], list[str]]:
    """List the videos of train.csv, val.csv and test.csv; the label is the column `settings.label`.

    Raises:
        UserError: a file or column is missing, or see Listing.
    """
    listing = Listing(root)
    for split in SPLITS:
        lines = read_lines(annotations / f"{split}.csv")
        rows = csv.DictReader(line for line, _ in lines)
        for column in ("path", settings.label):
            if column not in (rows.fieldnames or []):
                raise UserError(f"{annotations / split}.csv has no column {column!r}: check data.label")
        for row, (_, place) in zip(rows, lines[1:], strict=True):
            listing.add(row["path"], row[settings.label] or "", split, place, row.get("group") or "")
    return listing.finish(settings)
