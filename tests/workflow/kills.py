"""kill -9 of what a run consists of, at a moment that a file or a process shows."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from tests.workflow.conftest import TINY, Project

TWO_CORES = ("--cores", "2", "--configfile", TINY)


def start(project: Project, *targets: str) -> subprocess.Popen[bytes]:
    """Snakemake in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", *targets, *TWO_CORES], cwd=project.root, start_new_session=True,
        env={"HOME": str(project.root), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def jobs_of(process: subprocess.Popen[bytes], rule: str) -> list[psutil.Process]:
    """The running scripts of a rule, loader processes included."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if f"workflow_scripts.{rule}" in child.cmdline():
                    found.append(child)
    return found


def kill_in(project: Project, rule: str, *targets: str, what: str = "everything", shows: str = "") -> None:
    """Start Snakemake, and kill -9 the `job`, `snakemake` alone or `everything` while a job of `rule` runs.

    Args:
        project: where.
        rule: the script that runs.
        targets: of Snakemake.
        what: is killed.
        shows: files that show how far the job has come; without, its process is enough.
    """
    process = start(project, *targets)
    while not (jobs := jobs_of(process, rule)) or (shows and not any(project.root.glob(shows))):
        assert process.poll() is None, f"Snakemake ended before {rule} {shows}"
        time.sleep(0.002)
    if what == "everything":
        os.killpg(process.pid, signal.SIGKILL)
    elif what == "snakemake":
        process.kill()
        psutil.wait_procs(jobs, timeout=120)
    else:
        jobs[0].kill()
    assert process.wait(timeout=300) != 0


def kill_in_each(project: Project, kills: Mapping[str, tuple[str, str]]) -> None:
    """For each rule make its output anew and kill everything meanwhile; then make all of them, once.

    Args:
        project: a finished run.
        kills: of each rule, in the order of the workflow, an output and what shows that its job has come far.
    """
    for rule, (output, shows) in kills.items():
        made = project.root / output
        shutil.rmtree(made) if made.is_dir() else made.unlink()
        kill_in(project, rule, output, shows=shows)
        assert not made.exists(), rule
    done = project.snakemake(*(output for output, _ in kills.values()), *TWO_CORES)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def copied(project: Project, folder: Path) -> Project:
    """A copy with its results, to break."""
    shutil.copytree(project.root, folder, symlinks=True)
    return Project(folder)
