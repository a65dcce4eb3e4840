"""The generated videos of the demo: `{split}.csv` beside the folders of videos, several attributes each."""

from __future__ import annotations

from pathlib import Path

from vidkd.config.data import SPLITS, DataSettings
from vidkd.data.adapters.base import Listed, Listing
from vidkd.data.adapters.text import read_table
from vidkd.errors import UserError


def list_videos(settings: DataSettings, root: Path, annotations: Path) -> Listed:
    """List the videos of train.csv, val.csv and test.csv; the label is the column `settings.label`.

    Raises:
        UserError: a file or column is missing, or see Listing.
    """
    listing = Listing(root)
    for split in SPLITS:
        file = annotations / f"{split}.csv"
        for row, place in read_table(file):
            for column in ("path", settings.label):
                if column not in row:
                    raise UserError(
                        f"{place}: {file} has no column {column!r}: check data.label and probes.labels"
                    )
            labelled = row.get("labelled", "true") == "true"
            group = row.get("group", "")
            listing.add(row["path"], row[settings.label], split, place, group, labelled=labelled)
    return listing.finish(settings)
