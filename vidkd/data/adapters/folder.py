"""Class directories: `root/{train,val,test}/{class}/**/video`; `val` may be absent; no annotation files."""

from __future__ import annotations

from pathlib import Path

from vidkd.config.data import SPLITS, DataSettings
from vidkd.data.adapters.base import Listing, Video
from vidkd.errors import UserError

SUFFIXES = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"}


def list_videos(settings: DataSettings, root: Path, annotations: Path) -> tuple[list[Video], list[str]]:
    """List the videos of the class directories; without `val` a validation split is cut from train.

    Raises:
        UserError: there is no train or test directory, or see Listing.
    """
    listing = Listing(root)
    for split in SPLITS:
        folder = root / split
        if not folder.is_dir():
            if split == "val":
                continue
            raise UserError(
                f"{folder} is missing: data.adapter `folder` expects {root}/train and {root}/test"
            )
        for video in sorted(folder.glob("*/**/*")):
            if video.suffix.lower() in SUFFIXES:
                label = video.relative_to(folder).parts[0]
                listing.add(video.relative_to(root).as_posix(), label, split, str(video))
    return listing.finish(settings)
