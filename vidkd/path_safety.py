"""Folders that come from elsewhere: nothing that they name, and no link in them, leads out of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from vidkd.errors import UserError


def check_inside(folder: Path, names: Iterable[object]) -> None:
    """Refuse a folder that would have files of other folders read.

    Args:
        folder: the folder.
        names: what its own files name in it.

    Raises:
        UserError: a name leads out of it, or a link in it does.
    """
    top = Path(os.path.realpath(folder))
    named = {str(name): folder / str(name) for name in names}
    there = {str(path.relative_to(folder)): path for path in folder.rglob("*")}
    for name, path in (named | there).items():
        if not Path(os.path.realpath(path)).is_relative_to(top):
            raise UserError(
                f"{folder}: {name} leads out of the folder. Where you trust who made it, copy what is meant "
                "into it."
            )
