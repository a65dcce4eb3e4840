"""Which files of a folder are videos, by their names; nothing is opened here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from vidkd.errors import UserError

VIDEO_SUFFIXES = frozenset([
    ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".gif", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4",
    ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
])  # fmt: skip
IMAGE_SUFFIXES = frozenset([".bmp", ".jpeg", ".jpg", ".png", ".webp"])
FRAME = re.compile(r"(.+)_frame_\d+")
"""Name, without its suffix, of an image that is a frame of the video before `_frame_`."""
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
"""Line ends and the like: a name with one breaks logs and the tools that people read the tables with."""


def suffix_of(name: str) -> str:
    """Return what follows the last dot of a name, in lower case and with the dot."""
    stem, dot, suffix = name.rpartition(".")
    return dot + suffix.lower() if stem else ""


def without_suffix(path: str) -> str:
    """Cut off the suffix of a video file; any other dot is part of the name."""
    return path[: -len(suffix)] if (suffix := suffix_of(path)) in VIDEO_SUFFIXES else path


def check_name(name: str, place: str) -> None:
    """Refuse a name that tables, logs or other tools could not show as it is.

    Args:
        name: of a video, a class or a group.
        place: where it was read, for the message.

    Raises:
        UserError: it is not UTF-8, or has a control character.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{_shown(place)}: the name {name!r} is not UTF-8: rename the file or its folder"
        ) from None
    if CONTROL.search(name):
        raise UserError(f"{_shown(place)}: {name!r} has a line end or another control character: rename it")


def _shown(place: str) -> str:
    return CONTROL.sub("?", place).encode(errors="backslashreplace").decode()


def walk(top: str | Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield each folder from `top` down with the sorted names of its folders and files, hidden ones left out.

    Names may be removed from the list of folders, so that these are not entered.

    Raises:
        UserError: a folder cannot be listed, or is a link, below which videos might be found a second time.
    """
    waiting = [str(top)]
    while waiting:
        parent = waiting.pop()
        if parent != str(top) and Path(parent).is_symlink():
            raise UserError(f"{parent} is a link to a folder: move the folder itself there")
        folders: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(parent) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        (folders if entry.is_dir() else files).append(entry.name)
        except OSError as error:
            raise UserError(f"cannot list {parent}: {error.strerror}. Mend its permissions.") from error
        folders.sort()
        files.sort()
        yield parent, folders, files
        waiting.extend(f"{parent}/{name}" for name in reversed(folders))


def find_videos(folder: Path) -> Iterator[str]:
    """Find the video files at any depth below `folder`, relative to it.

    Raises:
        UserError: see walk.
    """
    for parent, _, files in walk(folder):
        inner = parent.removeprefix(str(folder)).removeprefix("/")
        for name in files:
            if suffix_of(name) in VIDEO_SUFFIXES:
                yield f"{inner}/{name}".removeprefix("/")


def videos_below(folder: Path) -> Iterator[str]:
    """Find the videos at any depth below `folder`, relative to it: files, image folders, images of one video.

    Raises:
        UserError: see walk.
    """
    for parent, subfolders, files in walk(folder):
        inner = os.path.relpath(parent, folder)
        videos = [name for name in files if suffix_of(name) in VIDEO_SUFFIXES]
        images = [name.rpartition(".")[0] for name in files if suffix_of(name) in IMAGE_SUFFIXES]
        several = sorted({found[1] for name in images if (found := FRAME.fullmatch(name))})
        if inner != "." and images and not videos and len(several) < 2:
            subfolders.clear()
            yield inner
        else:
            yield from (f"{inner}/{name}".removeprefix("./") for name in (*videos, *several))


def above_images(folder: str) -> Iterator[str]:
    """Yield `folder` and those in it, up to the first folder of images: there may be a million like it."""
    yield folder
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                with os.scandir(entry.path) as inner:
                    if any(suffix_of(file.name) in IMAGE_SUFFIXES for file in islice(inner, 8)):
                        return
                yield from above_images(entry.path)


def natural(name: str) -> list[tuple[int, str]]:
    """Make the key of an order in which 2 comes before 10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]
