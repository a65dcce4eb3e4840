"""The videos of a data set in a table on disk: a list of millions takes no more memory than a short one."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any

from vidkd.data.adapters.scratch import Scratch


@dataclass(frozen=True, slots=True)
class Video:
    """One video.

    Attributes:
        video_id: unique and stable: the path without its suffix, or the data set's own id.
        path: relative to the root, with forward slashes: a file, a folder of images, or what comes before
            `_frame_00.jpg` in the names of its images.
        label: class name; empty: none, of training videos only.
        split: train, val or test.
        group: videos that must stay on one side of a split (same scene or source); empty: a group of its own.
        labels: all class names of the video with `;` between, for methods that learn several; default: one.
        labelled: whether a method that does with few labels may use this one.
    """

    video_id: str
    path: str
    label: str
    split: str
    group: str = ""
    labels: str = ""
    labelled: bool = True

    def __post_init__(self) -> None:
        if not self.labels:
            object.__setattr__(self, "labels", self.label)

    @property
    def names(self) -> list[str]:
        """All class names of the video, of which a single one may have a `;` in it; none without a label."""
        if self.labels == self.label:
            return [self.label] if self.label else []
        return self.labels.split(";")


LISTED = tuple(field.name for field in fields(Video) if field.name != "labelled")
"""What the listing says of each video; which labels few-label methods may use is nobody else's business."""

_FIELDS = [field.name for field in fields(Video)]
_COLUMNS = ", ".join(f'"{name}"' for name in _FIELDS)
_TABLE = f"CREATE TABLE video ({_COLUMNS}, number INT, place BLOB, PRIMARY KEY (video_id)) WITHOUT ROWID"
_INSERT = f"INSERT OR IGNORE INTO video VALUES ({', '.join('?' * len(_FIELDS))}, ?, ?)"
_values_of = attrgetter(*_FIELDS)


def shard_of(video_id: str, n_shards: int) -> int:
    """The shard of a video: depends on its id alone, so that adding videos moves none."""
    return zlib.crc32(video_id.encode()) % n_shards


class VideoTable(Scratch):
    """The videos of a data set, by id.

    In SQL it is the table `video` with the fields of `Video`, `number` (in the order they were added) and
    `place`; `sha256(text)` and `shard_of(video_id, n_shards)` are functions there.
    """

    def __init__(self) -> None:
        super().__init__(_TABLE)
        self.database.create_function("sha256", 1, _sha256, deterministic=True)
        self.database.create_function("shard_of", 2, shard_of, deterministic=True)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Video]:
        """The videos, sorted by id."""
        return map(_video, self.rows(f"SELECT {_COLUMNS} FROM video ORDER BY video_id"))

    def add(self, video: Video, place: str) -> bool:
        """Add a video that was read at `place`; False, and not added, where its id is taken."""
        place_bytes = os.fsencode(place)  # a folder need not be UTF-8
        added = self.change(_INSERT, *_values_of(video), self._count, place_bytes)
        self._count += added
        return bool(added)

    def first(self, condition: str, *values: object) -> tuple[Video, str]:
        """The video that was added first of those that meet a condition, and the place it was read at."""
        query = f"SELECT {_COLUMNS}, place FROM video WHERE {condition} ORDER BY number LIMIT 1"
        *row, place = next(self.rows(query, *values))
        return _video(row), os.fsdecode(place)

    def splits(self) -> dict[str, int]:
        """How many videos each split has that has any."""
        return dict(self.rows("SELECT split, count(*) FROM video GROUP BY split"))

    def labels(self, split: str) -> set[str]:
        """The labels of the videos of a split."""
        query = "SELECT DISTINCT label FROM video WHERE split = ? AND label <> ''"
        return {label for (label,) in self.rows(query, split)}

    def shards(self, n_shards: int) -> Iterator[Iterator[Video]]:
        """The videos of each shard, sorted by id, until the next shard is asked for."""
        columns = f"shard_of(video_id, ?) AS shard, {_COLUMNS}"
        groups = groupby(
            self.rows(f"SELECT {columns} FROM video ORDER BY shard, video_id", n_shards), itemgetter(0)
        )
        empty = (n_shards, iter(()))
        number, members = next(groups, empty)
        for shard in range(n_shards):
            if shard < number:
                yield iter(())
            else:
                yield (_video(row[1:]) for row in members)
                number, members = next(groups, empty)


def _video(row: Sequence[Any]) -> Video:
    video_id, path, label, split, group, labels, labelled = row
    return Video(video_id, path, label, split, group, labels, bool(labelled))


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
