"""Reading annotation files: every line or row comes with its place, and bad text ends in a sentence."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from vidkd.artefacts import check
from vidkd.errors import UserError


def read_lines(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the non-blank lines of an annotation file, without trailing blanks, each with its `file:line`.

    A byte order mark and Windows line ends are not part of the lines.

    Raises:
        UserError: the file is missing, cannot be read or is not UTF-8 text.
    """
    try:
        # Bytes, because a text stream decodes ahead and cannot say which line is wrong.
        with check(file).open("rb") as stream:
            for number, raw in enumerate(stream, 1):
                place = f"{file}:{number}"
                line = _decoded(raw, place).removeprefix("\ufeff" if number == 1 else "").rstrip()
                if line:
                    yield line, place
    except FileNotFoundError:
        raise UserError(
            f"annotation file {file} is missing: check data.annotations and data.adapter"
        ) from None
    except OSError as error:
        raise UserError(f"annotation file {file} cannot be read: {error.strerror}") from error


def _decoded(raw: bytes, place: str) -> str:
    if b"\0" in raw:
        raise UserError(f"{place} is UTF-16 or no text: convert it, as in `iconv -f UTF-16 -t UTF-8`")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise UserError(f"{place} is not UTF-8: convert the file, as in `iconv -f LATIN1 -t UTF-8`") from None


def read_table(
    file: Path, delimiter: str = ",", names: Sequence[str] = ()
) -> Iterator[tuple[dict[str, str], str]]:
    """Read a delimited text file: each row by column name, with its `file:line`.

    Args:
        file: quotes and doubled quotes as in CSV; a quoted field may go over several lines.
        delimiter: a comma or a tab, say.
        names: of the columns; default: the first row, which is then no row of the table.

    Yields:
        Fields without blanks after them; a short row has no value for the last columns.

    Raises:
        UserError: a row has too many fields or wrong quotes, or see read_lines.
    """
    places: list[str] = []

    def lines() -> Iterator[str]:
        for line, place in read_lines(file):
            places.append(place)
            yield line + "\n"

    rows = csv.reader(lines(), delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        places.clear()
        try:
            fields = [field.rstrip() for field in next(rows, [])]
        except csv.Error as error:
            raise UserError(
                f"{places[0]}: {error}. Within quotes, a quote is written twice; mend the line."
            ) from None
        if not fields:
            return
        if names and len(fields) > len(names):
            raise UserError(
                f"{places[0]}: expected {', '.join(names)}, found {len(fields)} fields: {fields}. "
                "Put a field with a comma or tab in it between quotes."
            )
        if names:
            yield dict(zip(names, fields, strict=False)), places[0]
        names = names or fields
