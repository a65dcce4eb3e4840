"""The files that the data stages hand on: CSV tables of videos, one or many shards, and the class names."""

from __future__ import annotations

import csv
import heapq
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from vidkd.artefacts import check
from vidkd.errors import UserError
from vidkd.files import atomic

OK, EXCLUDED = "ok", "excluded"
"""Values of the column `status`."""

UNLABELLED = -1
"""The label id of a training video without a label."""

MISSING = "missing"
"""The reason of an excluded video whose file is not there."""

EXCLUDED_COLUMNS = ["video_id", "path", "reason", "detail"]
"""Columns of a list of excluded videos."""

OPEN_FILES = 200
"""Shards merged at once; systems let a process open 256 files or more."""

Row = dict[str, str]


def iter_rows(file: Path) -> Iterator[Row]:
    """Yield the rows of a table of videos.

    Raises:
        UserError: the file is missing or has no video_id column.
    """
    try:
        with check(file).open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            if "video_id" not in (reader.fieldnames or []):
                raise UserError(f"{file} has no column video_id: it is not a list of videos")
            for row in reader:
                if None in row or None in row.values():
                    raise UserError(
                        f"{file}, line {reader.line_num}: a row is cut or too long. Make the file anew."
                    )
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} is no table of videos ({error}). Run the step that makes it.") from error
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}. Run the step that makes it.") from error


def read_rows(file: Path) -> list[Row]:
    """Read all rows of a table that fits into memory, such as a shard; see iter_rows."""
    return list(iter_rows(file))


@contextmanager
def table_writer(file: Path, columns: Sequence[str]) -> Iterator[csv.DictWriter[str]]:
    """Write a table row by row, atomically; other columns of a row are left out.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    with atomic(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        yield writer


def write_rows(file: Path, rows: Iterable[Mapping[str, str]], columns: Sequence[str]) -> None:
    """Write `rows` with these columns atomically; see table_writer."""
    with table_writer(file, columns) as table:
        table.writerows(rows)


def shard_files(folder: Path, n_shards: int, suffix: str = ".csv") -> list[Path]:
    """Name the files of all shards in `folder`, which may also hold some of an earlier, larger n_shards."""
    return [folder / f"shard_{number}{suffix}" for number in range(n_shards)]


@contextmanager
def merged(files: Sequence[Path], columns: Sequence[str]) -> Iterator[Iterator[Row]]:
    """Merge many sorted tables into one sorted by video_id, in memory that does not grow with them.

    Args:
        files: tables sorted by video_id.
        columns: of these tables.

    Yields:
        The rows.

    Raises:
        UserError: while rows are taken: a file is missing, not sorted, or an id comes twice.
    """
    with TemporaryDirectory(prefix="vidkd-") as folder:
        parts = list(files)
        while len(parts) > OPEN_FILES:
            groups = [parts[start : start + OPEN_FILES] for start in range(0, len(parts), OPEN_FILES)]
            parts = [Path(folder, f"{len(parts)}_{number}.csv") for number in range(len(groups))]
            for part, group in zip(parts, groups, strict=True):
                write_rows(part, _merge(group), columns)
        yield _merge(parts)


def _merge(files: Sequence[Path]) -> Iterator[Row]:
    before = ""
    for row in heapq.merge(*map(iter_rows, files), key=lambda row: row["video_id"]):
        video_id = row["video_id"]
        if video_id == before:
            raise UserError(
                f"video {video_id!r} is in two rows or shards: delete them and list the videos again"
            )
        if video_id < before:
            raise UserError(
                f"video {video_id!r} comes after {before!r}, but shards are sorted: list the videos again"
            )
        before = video_id
        yield row


def read_classes(file: Path) -> list[str]:
    """Read the class names; a label id is a position in them.

    Raises:
        UserError: the file is missing or not JSON.
    """
    try:
        names: list[str] = json.loads(check(file).read_text(encoding="utf-8"))
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("it is no list of names")
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {file}: {error}. Run list_videos.") from error
    return names


def classes_text(classes: Sequence[str]) -> str:
    """Make the text of a file that `read_classes` reads."""
    return json.dumps(list(classes), ensure_ascii=False, indent=1) + "\n"


def by_reason(reasons: Counter[str]) -> str:
    """Put counts into words, the largest first: `3 missing, 2 truncated`."""
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {reason}" for reason, count in ordered)
