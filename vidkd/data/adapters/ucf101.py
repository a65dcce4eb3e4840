"""UCF101: `Class/v_Class_g08_c01.avi`, official lists classInd.txt, trainlist01.txt and testlist01.txt.

There is no official validation split: one is cut from train by group (g08: clips of the same scene).
"""

from __future__ import annotations

import re
from pathlib import Path

from vidkd.config.data import DataSettings
from vidkd.data.adapters.base import Listed, Listing
from vidkd.data.adapters.text import read_lines
from vidkd.errors import UserError


def list_videos(settings: DataSettings, root: Path, annotations: Path) -> Listed:
    """List the videos of split `settings.official_split`.

    Raises:
        UserError: a list is missing, a line is not understood, or see Listing.
    """
    listing = Listing(root)
    for split in ("train", "test"):
        for line, place in read_lines(annotations / f"{split}list{settings.official_split:02d}.txt"):
            path = line.split()[0]
            found = re.fullmatch(r"(\w+)/v_\w+_(g\d+)_c\d+\.avi", path)
            if found is None:
                raise UserError(f"{place}: expected `Class/v_Class_g01_c01.avi`, found {line!r}")
            label, group = found.groups()
            listing.add(path, label, split, place, f"{label}_{group}")
    return listing.finish(settings, _classes(annotations / "classInd.txt"))


def _classes(file: Path) -> list[str]:
    numbers: dict[str, int] = {}
    for line, place in read_lines(file):
        words = line.split()
        if len(words) != 2 or not words[0].isdecimal():
            raise UserError(f"{place}: expected `number Class`, found {line!r}")
        numbers[words[1]] = int(words[0])
    return sorted(numbers, key=lambda name: numbers[name])
