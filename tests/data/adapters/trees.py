"""Data sets of a few real videos in their official layouts, listed and probed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.data.videos import write_video
from vidkd.config.data import DataSettings
from vidkd.data.adapters.registry import find_adapter, write_listing
from vidkd.data.adapters.table import Video
from vidkd.data.probe import probe_shard
from vidkd.data.tables import read_rows

UNUSABLE = [os.fsdecode(b"\xff.mp4"), "x\ny.mp4"]
"""Names of files that a listing refuses."""
NAMED = r"(\\udcff|x\?y)\.mp4: .*(is not UTF-8: rename|or another control character: rename)"
"""What is said of them."""
CODECS = {".mp4": "libx264", ".mkv": "libx264", ".avi": "mpeg4", ".webm": "libvpx"}


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write text files below `folder`."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="")


@cache
def encoded(suffix: str) -> bytes:
    """A video of six frames."""
    with TemporaryDirectory() as folder:
        return write_video(Path(folder, f"video{suffix}"), 6, CODECS[suffix]).read_bytes()


def put_videos(folder: Path, names: Iterable[str]) -> None:
    """Real videos of these names below `folder`."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(Path(name).suffix.lower()))


def listed(
    folder: Path, adapter: str, annotations: str = "", **settings: object
) -> tuple[list[Video], list[str]]:
    """Videos by id and classes of the data set in `folder`."""
    chosen = DataSettings(adapter=adapter, **settings)
    videos, classes = find_adapter(adapter)(chosen, folder, folder / annotations)
    return list(videos), classes


def probed(
    folder: Path, adapter: str, annotations: str = "", **settings: object
) -> dict[str, dict[str, str]]:
    """The rows by video id that listing and probing the data set in `folder` write."""
    chosen = DataSettings(adapter=adapter, n_shards=1, **settings)
    with TemporaryDirectory() as out:
        shards, classes = Path(out, "videos"), Path(out, "classes.json")
        write_listing(chosen, folder, folder / annotations, shards, classes)
        probe_shard(shards / "shard_0.csv", classes, 0, folder, Path(out, "probe.csv"))
        return {row["video_id"]: row for row in read_rows(Path(out, "probe.csv"))}


def splits(videos: Iterable[Video]) -> dict[str, str]:
    """The split of each path."""
    return {video.path: video.split for video in videos}
