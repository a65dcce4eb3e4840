"""Options of the form NAME=FILE."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vidkd.errors import UserError


def named_places(given: Iterable[str], option: str) -> dict[str, list[Path]]:
    """Files or folders by name, in the order in which they were given.

    Args:
        given: texts NAME=FILE; a name may come several times.
        option: for the message.

    Raises:
        UserError: a text has no name, or no file.
    """
    found: dict[str, list[Path]] = {}
    for text in given:
        name, equals, place = text.partition("=")
        if not (name and equals and place):
            raise UserError(f"{option}: found {text!r}; allowed: NAME=FILE")
        found.setdefault(name, []).append(Path(place))
    return found


def named_files(given: Iterable[str], option: str) -> dict[str, Path]:
    """One file by name.

    Raises:
        UserError: a text has no name or no file, a name comes twice, or there is no such file.
    """
    places = named_places(given, option)
    if twice := [name for name, files in places.items() if len(files) > 1]:
        raise UserError(f"{option}: {twice[0]} is given twice: one file each")
    if missing := [files[0] for files in places.values() if not files[0].is_file()]:
        raise UserError(f"{option}: there is no file {missing[0]}")
    return {name: files[0] for name, files in places.items()}


def named_words(given: Iterable[str], option: str) -> dict[str, str]:
    """One word by name.

    Raises:
        UserError: a text has no name or no word.
    """
    return {name: str(places[0]) for name, places in named_places(given, option).items()}
