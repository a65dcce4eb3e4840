"""Artefacts and what lies beside each: `<artefact>.provenance.json` says what made it, and its sum.

All reads go through here, or through a store that checks its rows: a file whose bytes are not those that
were written is refused with one sentence. A file without a sidecar is somebody's own and has nothing to be
held against.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import resource
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from vidkd.config.base import canonical
from vidkd.errors import UserError
from vidkd.files import write_text
from vidkd.paths import sidecar
from vidkd.provenance import ROOT

STORES = {".h5"}
"""Endings of files, maybe of hundreds of GB, whose rows have sums that are compared when they are read."""

_AGAIN = "Delete it and give the same command again: Snakemake makes it anew."
_IMPORTED = time.time()


def write_sidecar(
    artefact: str | Path,
    *,
    settings: object,
    inputs: Iterable[str | Path],
    code: str,
    seed: int | None = None,
    **extra: object,
) -> None:
    """Write `<artefact>.provenance.json`: what `artefact` was made from, by what, on what, at what cost.

    Args:
        artefact: the finished file.
        settings: the validated settings that made it (a pydantic model, or anything JSON can hold).
        inputs: files that were read; folders are named without a digest.
        code: digest of the code, from `code_digest`.
        seed: seed of the run, if it has one.
        **extra: further entries.
    """
    artefact = Path(artefact)
    record = {
        "artefact": {**_stat(artefact), "sha256": file_sha256(artefact)},
        "settings": settings,
        "seed": seed,
        "inputs": {str(path): _input_sha256(Path(path)) for path in inputs},
        "code": code,
        "made_by": _command(),
        "git": _git(),
        "packages": _packages(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": _device(),
        "wall_s": round(time.time() - _process_start(), 3),
        "peak_memory_mb": round(_peak_memory_mb(), 1),
        **extra,
    }
    write_text(sidecar(str(artefact)), json.dumps(record, indent=2, sort_keys=True, default=_plain) + "\n")


def write_sidecars(artefacts: Iterable[Path], **about: Any) -> None:
    """Write the sidecar of each; see write_sidecar."""
    for artefact in artefacts:
        write_sidecar(artefact, **about)


def stamp(settings: BaseModel, inputs: Iterable[str | Path], code: str, seed: int) -> str:
    """Digest all that the result of a run depends on; a resume state of another stamp is not used.

    Raises:
        UserError: an input does not exist.
    """
    parts = [canonical(settings), code, str(seed), *(str(_input_sha256(Path(path))) for path in inputs)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def file_sha256(path: str | Path) -> str:
    """Compute the SHA-256 of the bytes of a file."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check(path: str | Path) -> Path:
    """Hold a file against the sum in its sidecar; a store only where its size or time have changed.

    Returns:
        The path.

    Raises:
        UserError: its bytes are not those that were written, or the sidecar is damaged.
    """
    path = Path(path)
    recorded = _recorded(path)
    if path.suffix in STORES:
        if recorded:
            _input_sha256(path)
        return path
    if recorded and _sum(path) != recorded["sha256"]:
        raise _damaged(path)
    return path


@contextmanager
def reading(path: str | Path) -> Iterator[Path]:
    """Give a file that is there and whole; what reading it then ends in is said of it.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        yield check(existing(path))
    except OSError as error:
        raise _cannot_read(path, error) from error
    except ValueError as error:
        remedy = _AGAIN if _recorded(Path(path)) else "Mend it, or give another file."
        raise UserError(f"{path} is damaged ({str(error).strip()}). {remedy}") from error


def read_json(path: str | Path) -> dict[str, Any]:
    """Read an artefact of one JSON object.

    Raises:
        UserError: it is missing or damaged.
    """
    with reading(path) as file:
        found = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")
    return found


def existing(path: str | Path) -> Path:
    """Return the path of a file or folder.

    Raises:
        UserError: it does not exist.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist: name another file, or run `snakemake {path}` first.")
    return path


def _cannot_read(path: str | Path, error: OSError) -> UserError:
    return UserError(
        f"{path} cannot be read: {error.strerror or error}. Mend that and give the same command again."
    )


def _damaged(path: Path) -> UserError:
    maker = ascii(read_sidecar(path).get("made_by", "vidkd")).strip("'")  # the folder may be anybody's
    return UserError(f"{path} is damaged: these are not the bytes that {maker} wrote. {_AGAIN}")


def read_sidecar(path: str | Path) -> dict[str, Any]:
    """Read what lies beside a file; nothing where it is somebody's own.

    Raises:
        UserError: it is damaged.
    """
    own = Path(sidecar(str(path)))
    if not own.is_file():
        return {}
    try:
        record: dict[str, Any] = json.loads(own.read_text(encoding="utf-8"))
        if not isinstance(record["artefact"]["sha256"], str):
            raise ValueError("it has no sum")
    except OSError as error:
        raise _cannot_read(own, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{own} is damaged, so that {Path(path).name} cannot be checked. Delete both and give the same "
            "command again: Snakemake makes them anew."
        ) from error
    return record


def _recorded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_sidecar(path).get("artefact", {})
    return found


def _input_sha256(path: Path) -> str | None:
    """Digest of an input; of a store from its own sidecar if size and time are still those.

    Raises:
        UserError: it is missing or damaged.
    """
    if path.is_dir():
        return None
    recorded, now = _recorded(existing(path)), _stat(path)
    if path.suffix in STORES and now.items() <= recorded.items():
        return str(recorded["sha256"])
    digest = _sum(path)
    if recorded and recorded["sha256"] != digest:
        raise _damaged(path)
    if path.suffix in STORES and recorded and _recorded(path) == recorded:
        # Snakemake touches the outputs of a finished job: keep the new time, so that no later reader hashes.
        record = read_sidecar(path)
        record["artefact"] |= now
        with suppress(UserError):
            write_text(sidecar(str(path)), json.dumps(record, indent=2, sort_keys=True) + "\n")
    return digest


def _sum(path: Path) -> str:
    """Hash a file, once a process for as long as nobody writes it."""
    now = path.stat()
    return _sum_of(path, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)


@cache
def _sum_of(path: Path, *_now: int) -> str:
    return file_sha256(path)


def _stat(path: Path) -> dict[str, int]:
    """What tells cheaply that a file was replaced."""
    found = path.stat()
    return {"bytes": found.st_size, "mtime_ns": found.st_mtime_ns}


def _plain(value: Any) -> object:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _command() -> str:
    """Name the script that runs, and the method or function that it was given."""
    script, *words = sys.argv
    return " ".join([Path(script).stem, *(word for word in words[:1] if not word.startswith("-"))])


@cache  # list_videos writes a thousand sidecars
def _git() -> dict[str, object] | None:
    def run(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    try:
        return {"commit": run("rev-parse", "HEAD"), "dirty": bool(run("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def _packages() -> dict[str, str]:
    """Versions of the project's dependencies, as far as they are installed."""
    versions = {}
    for requirement in _requirements():
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _requirements() -> list[str]:
    try:
        requires = importlib.metadata.requires("vidkd") or []
    except importlib.metadata.PackageNotFoundError:
        # In a conda environment the project is not installed but runs from its folder.
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        requires = project["dependencies"]
    return [requirement for requirement in requires if "extra ==" not in requirement]


def _device() -> str:
    """Name of the GPU if this process used one; asks torch only if it is loaded already."""
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name() if torch and torch.cuda.is_initialized() else "cpu"


def _process_start() -> float:
    """When this process started, in seconds since the epoch."""
    try:
        after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        since_boot = int(after_name[19]) / os.sysconf("SC_CLK_TCK")
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot
    except (OSError, AttributeError):
        return _IMPORTED


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
