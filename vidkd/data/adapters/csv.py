"""Split files `train.csv`, `test.csv` and perhaps `val.csv`, each in one of these forms.

- blanks: `videos/x.mp4 LABEL`; the path has no blanks, the label may have some;
- commas or tabs: `videos/x.mp4,LABEL` or `videos/x.mp4,LABEL,GROUP`, quoted where a comma is part of a
  field;
- the lists of TSN, TSM, FFN and mmaction2: `videos/x.mp4 FRAMES LABEL`, two numbers after the path;
- any of these with a header such as `path,label`, `video_path,label,group` or `video label`: columns in any
  order; others are not read.

A path may also be a folder of images, or what their names have before `_frame_00.jpg`. The first line
decides on the form: commas separate when what is before the first is quoted, has no blank or ends like a
video file.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from vidkd.config.data import SPLITS, DataSettings
from vidkd.data.adapters.base import Listed, Listing
from vidkd.data.adapters.text import read_lines, read_table
from vidkd.errors import UserError
from vidkd.video.media import VIDEO_SUFFIXES, suffix_of

_ROLES = {
    "path": ["path", "video_path", "file_path", "video", "file", "filename"],
    "label": ["label", "class", "category", "action"],
    "group": ["group", "group_id"],
}
_FEWEST = 10
"""Frames of a video in a list that says them: a smaller number is a label."""
_ROLE_OF = {name: role for role, names in _ROLES.items() for name in names}


def list_videos(settings: DataSettings, root: Path, annotations: Path) -> Listed:
    """List the videos of the split files; without val.csv a validation split is cut from train.

    Raises:
        UserError: a split file is missing, val.csv lists no video, a line is not understood, or see Listing.
    """
    listing = Listing(root, settings.unlabelled == "keep")
    for split in SPLITS:
        file = annotations / f"{split}.csv"
        if split == "val" and not file.exists():
            continue
        for row, place in _rows(file):
            listing.add(row.get("path", ""), row.get("label", ""), split, place, row.get("group", ""))
        if split == "val":
            listing.check_val(str(file))
    return listing.finish(settings)


def _rows(file: Path) -> Iterator[tuple[dict[str, str], str]]:
    """Each line as path, label and perhaps group and others."""
    first = next((line for line, _ in read_lines(file)), "")
    separated = [separator for separator in (",", "\t", None) if _header(first, separator, file)]
    separator = separated[0] if separated else _separator(first)
    names = _header(first, separator, file) or _without_header(first, separator, file)
    rows = read_table(file, separator, names) if separator else _words(file, names)
    return islice(rows, bool(separated), None)


def _header(line: str, separator: str | None, file: Path) -> list[str]:
    """What the columns are when the line is a header, else nothing."""
    fields = [field.strip(' "') for field in line.split(separator)]
    roles = [_ROLE_OF.get(field.lower(), field) for field in fields]
    if "path" not in roles or "label" not in roles:
        return []
    if twice := [role for role in _ROLES if roles.count(role) > 1]:
        raise UserError(f"{file}: two columns can be the {twice[0]} in the header {line!r}: rename one")
    return roles


def _without_header(line: str, separator: str | None, file: Path) -> list[str]:
    """What the columns of a file without a header are, by its first line."""
    _, *rest = [field.strip() for field in line.split(separator)] or [""]
    if len(rest) < 2 or not all(field.isdecimal() for field in rest):
        return ["path", "label", *(["group"] if separator else [])]
    if separator:
        raise UserError(
            f"{file}: {line!r} may be path, label, group or path, frames, label: begin the file with a line "
            "that says which, such as path,frames,label"
        )
    if len(rest) > 2 or int(rest[0]) < _FEWEST:
        raise UserError(
            f"{file}: {line!r} has several labels after the path: give one, or begin the file with a line "
            "that names the columns, such as `path frames label`"
        )
    return ["path", "frames", "label"]


def _separator(line: str) -> str | None:
    if "\t" in line:
        return "\t"
    path, comma, _ = line.partition(",")
    if not comma or suffix_of(line.split()[0]) in VIDEO_SUFFIXES:
        return None
    one_word = len(path.split()) < 2
    return "," if one_word or line.startswith('"') or suffix_of(path.strip()) in VIDEO_SUFFIXES else None


def _words(file: Path, names: list[str]) -> Iterator[tuple[dict[str, str], str]]:
    for line, place in read_lines(file):
        words = line.split(maxsplit=len(names) - 1)
        if len(words) < 2:
            raise UserError(
                f"{place}: expected `path label` or `path,label` or `path,label,group`, found {line!r}"
            )
        row = dict(zip(names, words, strict=False))
        _refuse_half(row.get("path", ""), line, place)
        yield row, place


def _refuse_half(path: str, line: str, place: str) -> None:
    """A path that does not end like a video file, in a line where another word does, was cut at a blank."""
    if suffix_of(path) not in VIDEO_SUFFIXES and any(
        suffix_of(word.strip("\"'")) in VIDEO_SUFFIXES for word in line.split()[1:]
    ):
        raise UserError(
            f"{place}: {path!r} looks like half of a path in {line!r}: a path with blanks needs commas or "
            "tabs between the fields"
        )
