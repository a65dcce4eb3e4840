"""The one exception meant for a person, and how its message names many things."""

from __future__ import annotations

from collections.abc import Sequence


class UserError(Exception):
    """Something the user can mend: the message says what is wrong, where, and what to do."""


def some(names: Sequence[str]) -> str:
    """Name the first five: `a, b, c, d, e and 7 more`."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
