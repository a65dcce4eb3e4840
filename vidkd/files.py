"""Files and folders: a killed job leaves either the old one or none; what comes from elsewhere is checked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vidkd.errors import UserError
from vidkd.paths import sidecar

_LEAST_FREE = 10**5
"""Bytes without which not even the log of a failed job can say that the disk is full."""


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success flush it to disk and rename it over `path`.

    What killed processes left of theirs is removed: each may be as large as the file. So is the sidecar of
    the old file, which says nothing of the new one.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _said_of(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep(path)
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            Path(sidecar(str(path))).unlink(missing_ok=True)
            temporary.replace(path)
            fsync_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Whether a process of another machine lives cannot be seen; but no two jobs make one file."""
    start = f".{path.name}."
    with os.scandir(path.parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(start)]
    for name in names:
        writer = name.removeprefix(start).removesuffix(".tmp")
        if name.endswith(".tmp") and writer.isdecimal() and not _alive(int(writer)):
            with suppress(OSError):
                (path.parent / name).unlink()


def _alive(process: int) -> bool:
    """Whether it runs: a killed one keeps its number, as a zombie, until its parent asks for its end."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with suppress(OSError):  # where there is no /proc
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    return True


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give a new folder beside `path`; on success flush its files to disk and put it in the place of `path`.

    What a killed process left of its own new folder is removed: there must be one process at a time.

    Raises:
        UserError: the folder above cannot be written, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with _said_of(path):
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            yield temporary
            # What the umask gives: safetensors keeps its files to their owner.
            mode = temporary.stat().st_mode & 0o666
            for file in temporary.rglob("*"):
                if file.is_file():
                    file.chmod(mode)
                    with file.open("rb") as written:
                        os.fsync(written.fileno())
            fsync_folder(temporary)
            shutil.rmtree(path, ignore_errors=True)
            temporary.rename(path)
            fsync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """Errors of the disk in words that name `path`."""
    try:
        yield
    except OSError as error:
        # By number where there is one: HDF5 puts a page of its own into the text.
        reason = os.strerror(error.errno) if error.errno else error
        raise UserError(
            f"cannot write {path}: {reason}. Free space, mend the permissions of the folder, "
            "or choose another results_dir."
        ) from error


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_writable(folder: str | Path, option: str) -> None:
    """See whether `folder` can be written, or made where it does not exist; it is left as it is.

    Args:
        folder: the folder.
        option: what names it, for the message.

    Raises:
        UserError: it cannot.
    """
    folder = Path(folder)
    nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not nearest.is_dir():
        raise UserError(f"{option}: {nearest} is a file, not a folder. Move it, or choose another {option}.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(
            f"{option}: {nearest} cannot be written. Mend its permissions, or choose another {option}."
        )
    if shutil.disk_usage(nearest).free < _LEAST_FREE:
        raise UserError(f"{option}: the disk of {nearest} is full. Free space, or choose another {option}.")


def check_inside(folder: Path, names: Iterable[object]) -> None:
    """Refuse a folder that comes from elsewhere and would have files of other folders read.

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


def fsync_folder(folder: Path) -> None:
    """Have the disk keep the names in `folder` as they are now."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
