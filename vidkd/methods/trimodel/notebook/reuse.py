"""What a notebook made already and need not make again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from vidkd.files import write_text
from vidkd.provenance import file_sha256

MARK = "made.json"
"""In a folder whose files are all there: the digest of what they were made of."""


def digest_of(said: str, small: Iterable[Path], large: Iterable[Path] = ()) -> str:
    """Digest of `said`, of the content of `small` files, and of the size and time of `large` ones.

    A large one may be a folder of images, or what their names begin with.
    """
    digest = hashlib.sha256(said.encode())
    for file in small:
        digest.update(f"{file} {file_sha256(file)}\n".encode())
    for file in large:
        digest.update(f"{file} {_stats(file)}\n".encode())
    return digest.hexdigest()


def unless_made(folder: Path, digest: str, files: Iterable[Path], make: Callable[[], None]) -> None:
    """Call `make` unless it was called for the same digest and all of `files` are there."""
    mark = folder / MARK
    same = mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == digest
    if same and all(file.is_file() for file in files):
        return
    mark.unlink(missing_ok=True)
    make()
    write_text(mark, json.dumps(digest) + "\n")


def _stats(path: Path) -> list[tuple[str, int, int]]:
    if path.is_file():
        members = [path]
    elif path.is_dir():
        members = sorted(path.iterdir())
    else:
        members = sorted(path.parent.glob(f"{path.name}_frame_*"))
    found = [(member.name, member.stat()) for member in members]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in found]
