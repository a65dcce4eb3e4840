"""Fetching one file over HTTP: resumed where it stopped, checked by its sum, and only then put into place."""

from __future__ import annotations

import errno
import fcntl
import html
import http.client
import logging
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tqdm import tqdm

from vidkd.artefacts import file_sha256
from vidkd.engine.logging import LINE_EVERY_S, on_terminal
from vidkd.files import fsync_folder

log = logging.getLogger(__name__)

WAITS_S = (1, 2, 4, 8, 16)
"""Pauses between attempts of which none brings anything; after the last one the download is given up."""

TIMEOUT_S = 60
"""Without a byte from the server."""

_CHUNK = 1 << 20
_BUSY = (408, 425, 429, 500, 502, 503, 504)
"""Answers of a server that may give the file in a moment."""

_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
_PAGE = (b"<!doctype", b"<html", b"<?xml")
_UNITS = ("bytes", "kB", "MB", "GB", "TB")

Result = TypeVar("Result")


class DownloadError(Exception):
    """The file is not to be had; the message says why, in words that go on after a colon."""


class _Interrupted(Exception):
    """It may go better in a moment."""


class _Unreachable(_Interrupted):
    """There is no network, or none that leads there."""


@dataclass(frozen=True)
class Remote:
    """A file to be fetched.

    Attributes:
        url: its address, http or https.
        place: where it goes.
        sha256: of its content, or the first digits of it.
        size: in bytes, where known.
        headers: sent to the host of `url`, and to none that it redirects to: they may hold a token.
    """

    url: str
    place: Path
    sha256: str
    size: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def part(self) -> Path:
        """What has come of it; kept when a download ends early."""
        return self.place.with_name(f"{self.place.name}.part")

    @property
    def here(self) -> int:
        """Bytes that have come of it."""
        return self.part.stat().st_size if self.part.is_file() else 0

    @property
    def left(self) -> int | None:
        """Bytes that are to come, where its size is known."""
        return None if self.size is None else max(self.size - self.here, 0)


def ask_size(remote: Remote) -> int | None:
    """Bytes of the file; None when its server does not say.

    Raises:
        DownloadError: the server gives another thing than a file, or cannot be reached.
    """

    def ask() -> int | None:
        try:
            with _open(remote, 0) as answer:
                return _span(answer)[1]
        except _Unreachable as error:  # a connection that breaks off later may come back; this one never was
            raise DownloadError(str(error)) from error

    return _persist(ask, lambda: 0)


def check_network(url: str) -> None:
    """See whether anything answers at an address: one that keeps trying would only find out after long.

    Raises:
        DownloadError: no way leads there.
    """
    try:
        _open(Remote(url, Path(), ""), 0).close()
    except _Unreachable as error:
        raise DownloadError(str(error)) from error
    except (DownloadError, _Interrupted):
        log.debug("%s answers, or may", url)


def fetch(remote: Remote, label: str) -> None:
    """Put the file into place, going on where an earlier download of it stopped.

    Args:
        remote: the file.
        label: names it in the progress.

    Raises:
        DownloadError: the server gives another thing than the file, cannot be reached, or the disk is full.
    """
    try:
        remote.place.parent.mkdir(parents=True, exist_ok=True)
        with remote.part.open("ab") as file:
            _lock(file)
            try:
                _complete(remote, file, label)
            finally:
                if not remote.here:
                    remote.part.unlink()
            os.fsync(file.fileno())
        remote.part.replace(remote.place)
        fsync_folder(remote.place.parent)
    except OSError as error:
        raise DownloadError(f"{remote.part} cannot be written ({error.strerror or error})") from error


def bytes_text(count: int) -> str:
    """A number of bytes for a person: 87.1 MB."""
    scaled, unit = float(count), 0
    while scaled >= 999.95 and unit < len(_UNITS) - 1:
        scaled, unit = scaled / 1000, unit + 1
    return f"{scaled:.{1 if unit else 0}f} {_UNITS[unit]}"


def _lock(file: BinaryIO) -> None:
    """Keep a second process from writing into the same part."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DownloadError("another process is fetching it") from error
    except OSError:
        log.debug("this file system has no locks: the sum tells whether two processes wrote")


def _complete(remote: Remote, file: BinaryIO, label: str) -> None:
    """Get all of the file into `file`, whose beginning may be here, and check its sum."""
    resumed = file.tell() > 0
    found = _receive(remote, file, label)
    if resumed and not found.startswith(remote.sha256):
        log.info("%s: what was here of it belongs to another file; from the start", label)
        _empty(file)
        found = _receive(remote, file, label)
    if not found.startswith(remote.sha256):
        _empty(file)
        raise DownloadError(f"what came has the sha256 {found}, not {remote.sha256}")


def _receive(remote: Remote, file: BinaryIO, label: str) -> str:
    """Get what `file` does not have yet; the sum of all of it."""
    with _byte_progress(label, remote.size, file.tell()) as tell:
        _persist(lambda: _receive_once(remote, file, tell), file.tell)
    file.flush()
    return file_sha256(remote.part)


def _receive_once(remote: Remote, file: BinaryIO, tell: Callable[[int], object]) -> None:
    start = file.tell()
    with _open(remote, start) as answer:
        first, total = _span(answer)
        if answer.status == 416 and total == start:
            return
        if first != start:  # this server gives no parts, or has less than is here
            tell(-start)
            _empty(file)
        if first not in (0, start):
            raise _Interrupted(f"{_host(answer.url)} gave another part than was asked for")
        for chunk in _chunks(answer):
            if file.tell() == 0 and chunk.lstrip()[:9].lower().startswith(_PAGE):
                raise DownloadError(_web_page(answer, chunk))
            file.write(chunk)
            tell(len(chunk))
    if total is not None and file.tell() != total:
        raise _Interrupted(f"{_host(answer.url)} stopped after {file.tell()} of {total} bytes")


def _empty(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


def _open(remote: Remote, start: int) -> http.client.HTTPResponse:
    """The answer: the file from byte `start` on, or all of it; status 416 where nothing is from there on."""
    asked = {"User-Agent": "vidkd"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        request = Request(remote.url, headers=asked)
        for name, value in remote.headers.items():
            request.add_unredirected_header(name, value)
        answer: http.client.HTTPResponse = urlopen(request, timeout=TIMEOUT_S)
    except HTTPError as error:
        if error.code == 416 and start:
            return error  # type: ignore[return-value] # an answer like any other
        said = f"{_host(error.url)} answered {error.code} {error.reason}"
        raise (_Interrupted if error.code in _BUSY else DownloadError)(said) from error
    except (http.client.InvalidURL, ValueError) as error:
        raise DownloadError(f"{remote.url} is no address ({error})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _failed(remote.url, error) from error
    if answer.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        with answer:
            raise DownloadError(_web_page(answer, b"".join(_chunks(answer, 1 << 16))))
    return answer


def _failed(url: str, error: Exception) -> _Interrupted:
    """What to make of a connection that failed."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, socket.gaierror) or getattr(reason, "errno", None) in _UNREACHABLE:
        return _Unreachable(f"{_host(url)} cannot be reached from here ({reason})")
    return _Interrupted(f"the connection to {_host(url)} failed ({reason or type(error).__name__})")


def _chunks(answer: http.client.HTTPResponse, most: int | None = None) -> Iterator[bytes]:
    """The body in pieces, or no more than the first of `most` bytes."""
    try:
        while chunk := answer.read(most or _CHUNK):
            yield chunk
            if most:
                return
    except (OSError, http.client.HTTPException) as error:
        raise _failed(answer.url, error) from error


def _span(answer: http.client.HTTPResponse) -> tuple[int | None, int | None]:
    """Where the body starts in the file, None where it holds nothing of it, and the size of the file."""
    if answer.status == 200:
        length = answer.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    match = re.match(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if match is None or (answer.status == 206) != (match[1] is not None):
        return None, None
    return int(match[1]) if match[1] else None, int(match[2]) if match[2] != "*" else None


def _web_page(answer: http.client.HTTPResponse, page: bytes) -> str:
    title = re.search(r"<title>(.*?)</title>", page.decode(errors="replace"), re.DOTALL | re.IGNORECASE)
    named = f" (“{' '.join(html.unescape(title[1]).split())}”)" if title else ""
    return f"{_host(answer.url)} gave a web page{named} in place of the file"


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _persist(attempt: Callable[[], Result], done: Callable[[], int]) -> Result:
    """Try until it works, after longer and longer pauses while nothing comes, then give up."""
    vain = 0
    while True:
        before = done()
        try:
            return attempt()
        except _Interrupted as error:
            vain = 0 if done() > before else vain + 1
            if vain > len(WAITS_S):
                raise DownloadError(f"{error}, tried {vain} times") from error
            wait = WAITS_S[max(vain - 1, 0)]
            log.info("%s; again in %d s", error, wait)
            time.sleep(wait)


@contextmanager
def _byte_progress(label: str, total: int | None, done: int) -> Iterator[Callable[[int], object]]:
    """A function to be told of bytes as they come: a bar on a terminal, plain lines in a log."""
    if on_terminal():
        with tqdm(desc=label, total=total, initial=done, unit="B", unit_scale=True) as bar:
            yield bar.update
        return
    start = told = time.monotonic()
    here, came = done, 0

    def tell(count: int) -> None:
        nonlocal here, came, told
        here, came = here + count, came + max(count, 0)
        if came and (now := time.monotonic()) - told >= LINE_EVERY_S:
            told, rate = now, came / (now - start)
            rest = (
                f" of {bytes_text(total)}, {timedelta(seconds=round((total - here) / rate))} left"
                if total
                else ""
            )
            log.info("%s: %s%s, %s/s", label, bytes_text(here), rest, bytes_text(int(rate)))

    yield tell
