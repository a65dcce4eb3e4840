"""Tables on disk for what would grow in memory with the videos of a data set."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vidkd.errors import UserError

CACHE_KB = 32_000
"""What is kept in memory, by the tables and by each sorting of them; the rest is in temporary files."""


class Scratch:
    """A database in a temporary file that nobody else sees and that is gone with this object.

    It is for the thread that has made it.
    """

    def __init__(self, table: str) -> None:
        """Make the database; `table` is the SQL that makes its first table."""
        self.database = sqlite3.connect("", isolation_level=None)  # an empty name is such a file
        for query in ("PRAGMA journal_mode = OFF", f"PRAGMA cache_size = -{CACHE_KB}", table, "BEGIN"):
            self.database.execute(query)  # what begins never ends: there is nothing to go back to

    def rows(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """What a query finds, one row after the other.

        Raises:
            UserError: there is no room for temporary files.
        """
        with _room():
            yield from self.database.execute(query, values)

    def change(self, query: str, *values: object) -> int:
        """Have a query change the tables; how many rows were inserted or updated. Raises as rows does."""
        with _room():
            return self.database.execute(query, values).rowcount


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise UserError(
            f"the list of videos cannot be kept in a temporary file: {error}. Make room, or set "
            "SQLITE_TMPDIR to another folder."
        ) from error
