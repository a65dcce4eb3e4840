"""Snakemake in a fork of a process that has imported it: half of a dry run's time is the import."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["snakemake.cli"])


def snakemake(
    root: Path, arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in `root`, as `python -m snakemake` does."""
    with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
        process = _FORKS.Process(target=_run, args=(root, arguments, environment, (out.name, err.name)))
        process.start()
        process.join()
        said = [Path(file.name).read_text(errors="replace") for file in (out, err)]
    return subprocess.CompletedProcess(list(arguments), process.exitcode or 0, *said)


def _run(
    root: Path, arguments: Sequence[str], environment: Mapping[str, str], outputs: tuple[str, str]
) -> None:
    for stream, file in enumerate(outputs, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), stream)
    os.chdir(root)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, "")
    sys.argv = ["snakemake", *arguments]
    from snakemake.cli import main

    main()
