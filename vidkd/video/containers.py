"""Opening a video file, and what its outermost structure tells: whether it is one at all, and whole."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import av

from vidkd.video.video import UnreadableVideo

_LIST = re.compile(rb"(\xef\xbb\xbf)?\s*(ffconcat|#EXTM3U|v=0\s|(<\?xml[^>]*>\s*)?<MPD)")
"""How lists of other files begin."""
_CONTAINERS = ",".join(sorted(av.formats_available - {"concat", "dash", "hls", "imf", "sdp"}))
"""Those that opening may try: a list would be followed before it says that it is one, even into a pipe."""
_PICTURES = {"adf", "bin", "ico", "idf", "image2", "tty", "xbin"}
_SEGMENT = bytes.fromhex("18538067")
_BOXES = {b"mdat", b"moof", b"moov"}
_TRIED = ",".join(sorted(av.codecs_available - {"vp9"}))
"""Decoders that opening may try: of VP9 it would decode a picture, only to learn how pixels are stored."""
_OPTIONS = {"protocol_whitelist": "file", "codec_whitelist": _TRIED, "format_whitelist": _CONTAINERS}


def is_file(path: Path) -> bool:
    """Tell whether there is a file, which a folder or a named pipe is not.

    Raises:
        UnreadableVideo: that cannot be told.
    """
    try:
        return path.is_file()
    except OSError as error:
        raise UnreadableVideo("unreadable", str(error.strerror)) from error


@contextmanager
def open_container(path: Path) -> Iterator[av.container.InputContainer]:
    """Open a file, whatever its name, and no other file or address that it names.

    Raises:
        UnreadableVideo: it is missing or empty, FFmpeg cannot read it, or it is a picture or a list of other
            files, which FFmpeg would open as a video.
    """
    if not is_file(path):
        raise UnreadableVideo("missing", "there is no such file")
    try:
        if path.stat().st_size == 0:
            raise UnreadableVideo("empty", "the file has no bytes")
        # Without `file:` a name with a colon would be an address.
        container = av.open(f"file:{path}", options=_OPTIONS, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, av.ArgumentError):  # also: a container that may not be tried
            _refuse_list(path)
        raise UnreadableVideo("unreadable", short(error)) from error
    with container:
        name = container.format.name
        if name in _PICTURES or name.endswith("_pipe"):
            hint = "a video of images is named by its folder, or by what comes before _frame_00.jpg"
            raise UnreadableVideo("no_video", f"the file is a picture ({name}); {hint}")
        yield container


def _refuse_list(path: Path) -> None:
    with path.open("rb") as file:
        if _LIST.match(file.read(256)):
            raise UnreadableVideo("no_video", "the file is a list of other files")


def short(error: Exception) -> str:
    """Take the library's message without the path, so that it is the same on every machine."""
    return str(getattr(error, "strerror", None) or type(error).__name__)


def missing_bytes(path: Path, container: str) -> int:
    """Count the bytes that a file lacks at its end, where the container gives its own length.

    The packets of a cut file may be found as if all were there. MPEG streams, and files that were written as
    streams, do not say how long they are.

    Args:
        path: the file.
        container: FFmpeg's name of its container.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if "mp4" in container.split(","):
            return max(0, _end_of_boxes(file, size) - size)
        if "matroska" in container.split(","):
            return max(0, _end_of_segment(file) - size)
        if container == "avi":
            lacking = 8 + int.from_bytes(file.read(8)[4:], "little") - size
            return lacking if lacking > 8 else 0  # some writers count their own header twice
    return 0


def _end_of_boxes(file: IO[bytes], size: int) -> int:
    """Where the boxes of an MP4 file end; what comes after them may be anything."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if length < 8 or (place + length > size and head[4:8] not in _BOXES):  # 0: up to the end of the file
            return place
        place += length
    return place


def _end_of_segment(file: IO[bytes]) -> int:
    """Where the segment of a Matroska file ends; 0 when it was written as a stream, or is not there."""
    file.seek(4)
    header = _number(file)
    if header is None:
        return 0
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != _SEGMENT:
        return 0
    length = _number(file)
    return 0 if length is None else file.tell() + length


def _number(file: IO[bytes]) -> int | None:
    """A length of Matroska, whose leading zero bits count its further bytes; None when all bits are ones."""
    first = int.from_bytes(file.read(1), "big")
    more = 8 - first.bit_length()
    if more > 7:
        return None
    value = int.from_bytes(bytes([first]) + file.read(more), "big") - (1 << 7 * (more + 1))
    return None if value == (1 << 7 * (more + 1)) - 1 else value
