"""Resume state: what lets a killed run go on bit for bit where it was."""

from __future__ import annotations

import hashlib
import io
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from vidkd.engine.processes import index, naming_lost_process
from vidkd.errors import UserError
from vidkd.files import atomic

log = logging.getLogger(__name__)

_SUM = hashlib.sha256().digest_size
"""Bytes at the beginning of a state: the sum of the rest."""


def save_state(folder: Path, stamp: str, state: dict[str, Any]) -> None:
    """Save `state` (tensors, numbers, strings, lists, dicts) with the digest of what it belongs to."""
    # Through memory: on a full disk torch itself fails with an error that does not say so.
    content = io.BytesIO()
    torch.save({"stamp": stamp, **state}, content)
    with atomic(folder / "state.pt") as temporary, temporary.open("wb") as file:
        file.write(hashlib.sha256(content.getbuffer()).digest())
        file.write(content.getbuffer())


def load_state(folder: Path, stamp: str) -> dict[str, Any] | None:
    """Return the saved state, or None when there is none that can be used.

    A state of other settings, code or inputs, or one that cannot be read, is ignored, with a warning:
    starting afresh gives the right result, going on from it would not.
    """
    path = folder / "state.pt"
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            found, content = file.read(_SUM), file.read()
        if hashlib.sha256(content).digest() != found:
            raise ValueError("its bytes have changed")
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (OSError, MemoryError) as error:  # not the state is at fault: it would be lost
        raise UserError(
            f"{path} cannot be read ({error}): mend that and give the same command again"
        ) from error
    except Exception as error:  # a truncated or foreign file fails in many ways inside torch
        # Not its text, which recommends to load the file with all the code in it.
        log.warning("%s cannot be read (%s): starting from the beginning", path, type(error).__name__)
        return None
    if not isinstance(state, dict) or state.pop("stamp", None) != stamp:
        log.warning("%s belongs to other settings, code or inputs: starting from the beginning", path)
        return None
    return state


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Hold a run's state folder for this training alone; of several processes the main one holds it.

    Raises:
        UserError: another training is in it, it cannot be written, or another process of this one ended.
    """
    if index():
        with naming_lost_process():
            yield
        return
    lock = FileLock(folder / "lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            f"another process is training into {folder.parent}: wait for it, stop it, or "
            "choose another --run-dir."
        ) from error
    except OSError as error:
        raise UserError(
            f"cannot write {folder.parent}: {error.strerror}. Mend its permissions, free space, or "
            "choose another results_dir."
        ) from error
    try:
        with naming_lost_process():
            yield
    finally:
        lock.release()


def drop_state(folder: Path) -> None:
    """Remove the state of a finished run."""
    shutil.rmtree(folder, ignore_errors=True)
