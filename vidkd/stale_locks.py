"""Locks of a Snakemake that was killed, which nobody holds any more."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
from contextlib import suppress
from pathlib import Path


def drop_stale_locks(state: Path) -> bool:
    """Remove Snakemake's locks below `state` if no Snakemake runs there; this one's stay as long as it does.

    Snakemake's own locks do not say whose they are: after a kill they stay until somebody calls `--unlock`.
    The lock taken here beside them is one of the kernel, which ends with its process. It may not reach other
    machines that share the disk: where another one has ever run, all is left as it is.

    Args:
        state: the folder `.snakemake`.

    Returns:
        Whether there were any to remove.
    """
    stale = False
    # A read-only folder, or a disk without such locks: Snakemake says itself what it cannot do.
    with suppress(OSError):
        state.mkdir(exist_ok=True)
        own = state / f"running.{socket.gethostname()}"
        # Open until the process ends; its jobs do not inherit it.
        running = os.open(own, os.O_RDWR | os.O_CREAT, 0o666)
        with suppress(BlockingIOError):
            fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if set(state.glob("running.*")) == {own}:
                stale = any(state.glob("locks/*.lock"))
                shutil.rmtree(state / "locks", ignore_errors=True)
        fcntl.flock(running, fcntl.LOCK_SH)
    return stale
