"""Something-Something v2: `{id}.webm`, official train.json, validation.json and labels.json.

Published figures are on the official validation split, whose labels were always public: it is our test split,
and our validation split is cut from train. File names may have the prefix `something-something-v2-`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vidkd.config.data import DataSettings
from vidkd.data.adapters.base import Listing, Video
from vidkd.errors import UserError

PREFIX = "something-something-v2-"


def list_videos(settings: DataSettings, root: Path, annotations: Path) -> tuple[list[Video], list[str]]:
    """List the videos; the label is the template without its brackets.

    Raises:
        UserError: a file is missing or not in the official form, or see Listing.
    """
    listing = Listing(root)
    for split, name in (("train", "train.json"), ("test", "validation.json")):
        file, entries = _read(annotations, name)
        for number, entry in enumerate(entries, 1):
            place = f"{file}: entry {number}"
            try:
                video, label = str(entry["id"]), entry["template"].replace("[", "").replace("]", "")
            except (KeyError, TypeError, AttributeError):
                raise UserError(f"{place}: expected an object with id and template") from None
            listing.add(f"{video}.webm", label, split, place, video_id=video)
    return listing.finish(settings, list(_read(annotations, "labels.json")[1]))


def _read(annotations: Path, name: str) -> tuple[Path, Any]:
    file = next(
        (f for f in (annotations / name, annotations / (PREFIX + name)) if f.exists()), annotations / name
    )
    try:
        return file, json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {file}: {error}. Check data.annotations.") from None
