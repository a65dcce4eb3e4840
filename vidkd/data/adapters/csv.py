"""Split files `{train,test}.csv`, perhaps `val.csv`: `path LABEL` or `path,LABEL[,group]`; no header."""

from __future__ import annotations

import csv
from pathlib import Path

from vidkd.config.data import SPLITS, DataSettings
from vidkd.data.adapters.base import Listing, Video, read_lines
from vidkd.errors import UserError


def list_videos(settings: DataSettings, root: Path, annotations: Path) -> tuple[list[Video], list[str]]:
    """List the videos of the split files; without val.csv a validation split is cut from train.

    Raises:
        UserError: a split file is missing, a line is not understood, or see Listing.
    """
    listing = Listing(root)
    for split in SPLITS:
        file = annotations / f"{split}.csv"
        if split == "val" and not file.exists():
            continue
        for line, place in read_lines(file):
            path, label, group = split_line(line, place)
            listing.add(path, label, split, place, group)
    return listing.finish(settings)


def split_line(line: str, place: str) -> tuple[str, str, str]:
    """Path, label and group of a line; a comma after the path's suffix separates, else a space."""
    fields = next(csv.reader([line]))
    suffix = Path(fields[0]).suffix
    if len(fields) in (2, 3) and suffix and " " not in suffix and "\t" not in suffix:
        return fields[0].strip(), fields[1].strip(), fields[2].strip() if len(fields) == 3 else ""
    words = line.split(maxsplit=1)
    if len(words) != 2:
        raise UserError(
            f"{place}: expected `path label` or `path,label` or `path,label,group`, found {line!r}"
        )
    return words[0], words[1].strip(), ""
