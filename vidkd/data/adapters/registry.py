"""The data sets that are understood, and the files their listing becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from vidkd import lazy
from vidkd.config.data import SPLITS, DataSettings
from vidkd.data.adapters.base import Listed
from vidkd.data.adapters.table import LISTED, VideoTable
from vidkd.data.tables import classes_text, shard_files, write_rows
from vidkd.errors import UserError, some
from vidkd.files import write_text

Adapter = Callable[[DataSettings, Path, Path], Listed]

ADAPTERS = {
    "demo": "vidkd.data.adapters.demo:list_videos",
    "csv": "vidkd.data.adapters.csv:list_videos",
    "folder": "vidkd.data.adapters.folder:list_videos",
    "ucf101": "vidkd.data.adapters.ucf101:list_videos",
    "hmdb51": "vidkd.data.adapters.hmdb51:list_videos",
    "ssv2": "vidkd.data.adapters.ssv2:list_videos",
    "kinetics": "vidkd.data.adapters.kinetics:list_videos",
    "xd_violence": "vidkd.data.adapters.xd_violence:list_videos",
}


def find_adapter(name: str) -> Adapter:
    """Return the `list_videos` function of adapter `name`.

    Raises:
        UserError: there is none.
    """
    if name not in ADAPTERS:
        raise UserError(f"data.adapter: {name!r} is not known; known: {', '.join(ADAPTERS)}")
    adapter: Adapter = lazy.load(ADAPTERS[name])
    return adapter


def write_listing(
    settings: DataSettings, root: Path, annotations: Path, folder: Path, classes_json: Path
) -> str:
    """List a data set and write `folder/shard_{k}.csv` for every k < n_shards, and the class names.

    Returns:
        Lines for a person: how many videos each split has, and which classes a split lacks.

    Raises:
        UserError: see the adapter.
    """
    videos, classes = find_adapter(settings.adapter)(settings, root, annotations)
    shards = videos.shards(settings.n_shards)
    for file, members in zip(shard_files(folder, settings.n_shards), shards, strict=True):
        write_rows(file, ({name: getattr(video, name) for name in LISTED} for video in members), LISTED)
    write_text(classes_json, classes_text(classes))
    return _summary(videos, classes)


def _summary(videos: VideoTable, classes: Sequence[str]) -> str:
    counts = videos.splits()
    shown = ", ".join(f"{counts.get(split, 0)} {split}" for split in SPLITS)
    lines = [f"{shown} videos of {len(classes)} classes"]
    for split in SPLITS:
        there = videos.labels(split)
        if lacking := [name for name in classes if name not in there]:
            lines.append(f"no {split} video of: {some(lacking)}")
    return "\n".join(lines)
