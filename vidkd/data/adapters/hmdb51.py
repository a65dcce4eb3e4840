"""HMDB51: `class/name.avi`, official lists `class_test_split1.txt`, `name.avi 1` (1 train, 2 test, 0 unused).

There is no official validation split: one is cut from train by the film that clips come from. Test clips have
no group: the official split is taken as it is.
"""

from __future__ import annotations

from pathlib import Path

from vidkd.config.data import DataSettings
from vidkd.data.adapters.base import Listed, Listing
from vidkd.data.adapters.text import read_lines
from vidkd.errors import UserError

SPLIT_OF = {"1": "train", "2": "test", "0": None}


def list_videos(settings: DataSettings, root: Path, annotations: Path) -> Listed:
    """List the videos of split `settings.official_split`.

    Raises:
        UserError: there are no lists, a line is not understood, or see Listing.
    """
    listing = Listing(root)
    ending = f"_test_split{settings.official_split}.txt"
    files = sorted(annotations.glob(f"*{ending}"))
    if not files:
        raise UserError(
            f"{annotations} has no files *{ending}: check data.annotations and data.official_split"
        )
    classes = [file.name.removesuffix(ending) for file in files]
    for label, file in zip(classes, files, strict=True):
        for line, place in read_lines(file):
            name, _, mark = line.rpartition(" ")
            if mark not in SPLIT_OF or not name:
                raise UserError(f"{place}: expected `name.avi` and 0, 1 or 2, found {line!r}")
            if split := SPLIT_OF[mark]:
                film = name.rsplit(f"_{label}_", 1)[0] if split == "train" else ""
                listing.add(f"{label}/{name.strip()}", label, split, place, film)
    return listing.finish(settings, classes)
