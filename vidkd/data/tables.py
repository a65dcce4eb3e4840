"""The files that the data stages hand on: CSV tables of videos, and the class names."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vidkd.errors import UserError

OK, EXCLUDED = "ok", "excluded"
"""Values of the column `status`."""

EXCLUDED_COLUMNS = ["video_id", "path", "reason"]
"""Columns of a list of excluded videos."""


def read_rows(file: Path) -> list[dict[str, str]]:
    """The rows of a table of videos.

    Raises:
        UserError: the file is missing or has no video_id column.
    """
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}. Run the step that makes it.") from error
    if "video_id" not in (reader.fieldnames or []):
        raise UserError(f"{file} has no column video_id: it is not a list of videos")
    return rows


def rows_text(rows: Iterable[Mapping[str, str]], columns: Sequence[str]) -> str:
    """`rows` as CSV text with these columns; others are left out."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_classes(file: Path) -> list[str]:
    """Class names; a label id is a position in them.

    Raises:
        UserError: the file is missing or not JSON.
    """
    try:
        names: list[str] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {file}: {error}. Run list_videos.") from error
    return names


def classes_text(classes: Sequence[str]) -> str:
    """The text of a file that `read_classes` reads."""
    return json.dumps(list(classes), ensure_ascii=False, indent=1) + "\n"
