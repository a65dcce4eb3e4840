"""Something-Something v2: `{id}.webm`, or converted `{id}.mp4`, and the official JSON files.

Annotations: train.json, validation.json and labels.json; older names have `something-something-v2-` before
them. Published figures are on the official validation split: it is our test split, and our validation split
is cut from train. test.json has no labels and is not read, nor is test-answers.csv, which came years later.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vidkd.config.data import DataSettings
from vidkd.data.adapters.base import Listed, Listing
from vidkd.data.adapters.table import NamedVideos
from vidkd.errors import UserError
from vidkd.video.media import check_name

PREFIX = "something-something-v2-"
_EXAMPLE = '{"Holding something": "0"}'


def list_videos(settings: DataSettings, root: Path, annotations: Path) -> Listed:
    """List the videos; the label is the template without its brackets.

    Raises:
        UserError: a file is missing or not in the official form, or see Listing.
    """
    listing = Listing(root)
    found = NamedVideos(root)
    for split, name in (("train", "train.json"), ("test", "validation.json")):
        file, entries = _read(annotations, name)
        if not isinstance(entries, list):
            raise UserError(f"{file}: expected a list of objects with id and template")
        for number, entry in enumerate(entries, 1):
            place = f"{file}: entry {number}"
            video, label = _id_and_label(entry, place)
            listing.add(found.path(video, f"{video}.webm"), label, split, place, video_id=video)
    return listing.finish(settings, _classes(annotations))


def _id_and_label(entry: Any, place: str) -> tuple[str, str]:
    try:
        video, template = entry["id"], entry["template"]
    except (KeyError, TypeError):
        raise UserError(f"{place}: expected an object with id and template") from None
    if type(video) not in (str, int) or not str(video) or not isinstance(template, str):
        raise UserError(f"{place}: expected a text or number as id and a text as template")
    check_name(str(video), place)
    return str(video), template.replace("[", "").replace("]", "")


def _classes(annotations: Path) -> list[str]:
    file, labels = _read(annotations, "labels.json")
    if not isinstance(labels, dict) or not labels:
        raise UserError(f"{file}: expected an object with each class, as in {_EXAMPLE}")
    try:
        return sorted(labels, key=lambda name: int(labels[name]))
    except (TypeError, ValueError) as error:
        raise UserError(f"{file}: expected a number for each class, as in {_EXAMPLE}") from error


def _read(annotations: Path, name: str) -> tuple[Path, Any]:
    file = next(
        (f for f in (annotations / name, annotations / (PREFIX + name)) if f.exists()), annotations / name
    )
    try:
        return file, json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {file}: {error}. Check data.annotations.") from None
