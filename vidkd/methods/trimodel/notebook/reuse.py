"""What a notebook made already and need not make again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from vidkd.files import write_text
from vidkd.provenance import file_sha256

MARK = "made.json"
"""In a folder whose files are all there: the digest of what they were made of."""


def of_files(large: Iterable[Path], said: str, small: Iterable[Path] = ()) -> str:
    """Digest of `said`, of the content of `small` files, and of the size and time of `large` ones."""
    digest = hashlib.sha256(said.encode())
    for file in small:
        digest.update(f"{file} {file_sha256(file)}\n".encode())
    for file in large:
        found = file.stat() if file.exists() else None
        digest.update(f"{file} {(found.st_size, found.st_mtime_ns) if found else None}\n".encode())
    return digest.hexdigest()


def is_made(folder: Path, digest: str) -> bool:
    """Whether `mark` says so of the same digest."""
    path = folder / MARK
    return path.is_file() and json.loads(path.read_text(encoding="utf-8")) == digest


def mark(folder: Path, digest: str) -> None:
    """Say that everything in the folder is made."""
    write_text(folder / MARK, json.dumps(digest) + "\n")
