"""XD-Violence: `FILM__#START_END_label_B2-B6-G.mp4`, the classes as codes in the name; no annotations.

Folders as the official archives give them: train videos in `1-1004`, `1005-2004`, `2005-2804`, `2805-3319`
and `3320-3954` or all in `train`, test videos in `test_videos`, `videos` or `test`; other folders are not
read.

`A` is normal, `B1` fighting, `B2` shooting, `B4` riot, `B5` abuse, `B6` car accident, `G` explosion; zeros
fill up to three codes, and the first code is the main one. `data.compound` says what a video with several
codes is:

- first: of the class of its first code;
- all: each set of codes is a class of its own (`shooting + explosion`, whatever their order); a set that no
  training video has gets the class of its first code;
- multi: as first, and the column `labels` of the manifest has the classes of all its codes.

Clips of one film or YouTube video are a group when a validation split is cut. The official test split is
taken as it is, though films are in train and test.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vidkd.config.data import DataSettings
from vidkd.data.adapters.base import Listed, Listing
from vidkd.errors import UserError
from vidkd.video.media import check_name, find_videos, without_suffix

CLASSES = {
    "A": "normal",
    "B1": "fighting",
    "B2": "shooting",
    "B4": "riot",
    "B5": "abuse",
    "B6": "car accident",
    "G": "explosion",
}
TRAIN = re.compile(r"\d+-\d+|train|train_videos")
TEST = re.compile(r"test|test_videos|videos")


def list_videos(settings: DataSettings, root: Path, annotations: Path) -> Listed:
    """List the videos; see `data.compound` for the label of one with several codes.

    Raises:
        UserError: a name has no codes or unknown ones, or see Listing.
    """
    listing = Listing(root)
    paths = [path for path in find_videos(root) if _split(path)]
    for path in paths:
        check_name(path, f"{root}/{path}")
    videos = [(path, _classes(path, root), _split(path)) for path in paths]
    _refuse_copies(paths, root)
    trained = {_together(classes) for _, classes, split in videos if split == "train"}
    for path, classes, split in videos:
        label = classes[0]
        if settings.compound == "all" and _together(classes) in trained:
            label = _together(classes)
        film = (
            path.rpartition("/")[2].rpartition("_label_")[0].partition("__#")[0] if split == "train" else ""
        )
        labels = ";".join(classes) if settings.compound == "multi" else ""
        listing.add(path, label, split, str(root / path), film, labels=labels)
    return listing.finish(settings)


def _refuse_copies(paths: Sequence[str], root: Path) -> None:
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(path.rpartition("/")[2], path)
        if other != path:
            raise UserError(f"{other} and {path} under {root} are the same video: remove one")


def _split(path: str) -> str:
    folder = path.partition("/")[0]
    return "train" if TRAIN.fullmatch(folder) else "test" if TEST.fullmatch(folder) else ""


def _classes(path: str, root: Path) -> list[str]:
    """The classes of the codes in a name, each once, in their order."""
    codes = [code for code in without_suffix(path).rpartition("_label_")[2].split("-") if code != "0"]
    if not codes or not set(codes) <= CLASSES.keys():
        raise UserError(
            f"{root / path}: expected a name like `v=8cTqh9tMz_I__#1_label_B1-0-0.mp4`, with codes from "
            f"{', '.join(CLASSES)} after `_label_`"
        )
    return list(dict.fromkeys(CLASSES[code] for code in codes))


def _together(classes: list[str]) -> str:
    return " + ".join(name for name in CLASSES.values() if name in classes)
