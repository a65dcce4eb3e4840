"""Tables on disk of the videos of a data set: a list of millions takes no more memory than a short one."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import groupby
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

from vidkd.errors import UserError
from vidkd.video.media import check_name, find_videos, without_suffix


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

CACHE_KB = 32_000
"""What is kept in memory, by the tables and by each sorting of them; the rest is in temporary files."""


class _Scratch:
    """A database in a temporary file that nobody else sees and that is gone with this object.

    It is for the thread that has made it.
    """

    def __init__(self, table: str) -> None:
        """Make the database; `table` is the SQL that makes its first table."""
        self.database = sqlite3.connect("", isolation_level=None)  # an empty name is such a file
        for query in ("PRAGMA journal_mode = OFF", f"PRAGMA cache_size = -{CACHE_KB}", table, "BEGIN"):
            self.database.execute(query)  # what begins never ends: there is nothing to go back to

    def rows(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Yield what a query finds, row by row.

        Raises:
            UserError: there is no room for temporary files.
        """
        with _room():
            yield from self.database.execute(query, values)

    def change(self, query: str, *values: object) -> int:
        """Run a query that changes the tables; return how many rows it changed. Raises as rows does."""
        with _room():
            return self.database.execute(query, values).rowcount


class VideoTable(_Scratch):
    """The videos of a data set, by id.

    In SQL it is the table `video` with the fields of `Video`, `number` (in the order they were added) and
    `place`; `sha256(text)` and `shard_of(video_id, n_shards)` are functions there.
    """

    def __init__(self) -> None:
        super().__init__(_TABLE)
        self.database.create_function("sha256", 1, _sha256, deterministic=True)
        self.database.create_function("shard_of", 2, _shard_of, deterministic=True)
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
        """Return the first video added of those that meet a condition, and the place it was read at."""
        query = f"SELECT {_COLUMNS}, place FROM video WHERE {condition} ORDER BY number LIMIT 1"
        *row, place = next(self.rows(query, *values))
        return _video(row), os.fsdecode(place)

    def splits(self) -> dict[str, int]:
        """Count the videos of each split that has any."""
        return dict(self.rows("SELECT split, count(*) FROM video GROUP BY split"))

    def labels(self, split: str) -> set[str]:
        """Return the labels of the videos of a split."""
        query = "SELECT DISTINCT label FROM video WHERE split = ? AND label <> ''"
        return {label for (label,) in self.rows(query, split)}

    def shards(self, n_shards: int) -> Iterator[Iterator[Video]]:
        """Yield the videos of each shard, sorted by id; read them before asking for the next shard."""
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


class NamedVideos(_Scratch):
    """Each video file at any depth below a folder, by its name without suffix.

    Of two with one name, the one in a folder with `replacement` in its name is taken.
    """

    def __init__(self, folder: Path) -> None:
        """Look for the videos; none is opened.

        Raises:
            UserError: two videos have the same name, or see check_name and walk.
        """
        super().__init__("CREATE TABLE video (name PRIMARY KEY, path) WITHOUT ROWID")
        for path in find_videos(folder):
            check_name(path, f"{folder}/{path}")
            name = without_suffix(path.rpartition("/")[2])
            if not self.change("INSERT OR IGNORE INTO video VALUES (?, ?)", name, path):
                other = self.path(name, path)
                if ("replacement" in other) == ("replacement" in path):
                    raise UserError(f"{other} and {path} under {folder} are the same video: remove one")
                if "replacement" in path:
                    self.change("UPDATE video SET path = ? WHERE name = ?", path, name)

    def path(self, name: str, default: str) -> str:
        """Return the path, relative to the folder, of the video of this name, or else `default`."""
        found: tuple[str] = next(self.rows("SELECT path FROM video WHERE name = ?", name), (default,))
        return found[0]


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise UserError(
            f"the list of videos cannot be kept in a temporary file: {error}. Make room, or set "
            "SQLITE_TMPDIR to another folder."
        ) from error


def _shard_of(video_id: str, n_shards: int) -> int:
    """The shard of a video: depends on its id alone, so that adding videos moves none."""
    return zlib.crc32(video_id.encode()) % n_shards


def _video(row: Sequence[Any]) -> Video:
    video_id, path, label, split, group, labels, labelled = row
    return Video(video_id, path, label, split, group, labels, bool(labelled))


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
