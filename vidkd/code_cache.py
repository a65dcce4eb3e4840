"""What was found out about modules, kept between processes: a run on a cluster starts hundreds of them.

An entry is named by the name and the content of a module and by the program that looked at it, so that it is
never out of date; without it, or where it cannot be kept, the module is looked at again.
"""

from __future__ import annotations

import atexit
import json
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

from vidkd.errors import UserError
from vidkd.files import write_text

_MOST = 5000
"""Entries, after which it starts anew: each change of a module adds one."""

_Entry = tuple[str, list[str]]


def find(key: str) -> _Entry | None:
    """Return the digest and the imports of a module, if they are known."""
    return _entries().get(key)


def keep(key: str, entry: _Entry) -> None:
    """Have later processes know them."""
    if not _added:
        atexit.register(_write)
    _added[key] = entry
    _entries()[key] = entry


_added: dict[str, _Entry] = {}


def _file() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "vidkd", "code.json")


@cache
def _entries() -> dict[str, _Entry]:
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
        return {
            str(key): (str(digest), [str(name) for name in names]) for key, (digest, names) in found.items()
        }
    except (OSError, RuntimeError, ValueError, AttributeError, TypeError):  # none, no home, damaged
        return {}


def _write() -> None:
    with suppress(UserError, RuntimeError):
        write_text(_file(), json.dumps(_entries() if len(_entries()) <= _MOST else _added))
