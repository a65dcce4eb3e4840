"""kill -9 of what a run consists of, at a moment that a file or a process shows."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import psutil

from tests.workflow.conftest import TINY, Project

TWO_CORES = ("--cores", "2", "--configfile", TINY)


def start(project: Project, *targets: str) -> subprocess.Popen[bytes]:
    """Snakemake in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", *targets, *TWO_CORES], cwd=project.root, start_new_session=True,
        env=project.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
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


class Kill(NamedTuple):
    """What a rule makes, files that show how far its job has come, and what is killed then."""

    output: str
    shows: str = ""
    what: Literal["everything", "snakemake", "job"] = "everything"


def kill_in(project: Project, rule: str, kill: Kill) -> None:
    """Have an output made anew, and kill -9 while a job of its rule runs."""
    made = project.root / kill.output
    process, jobs = held(project, rule, kill)
    while made.exists():  # it was done in the moment in which it was seen
        for_each(jobs, psutil.Process.resume)
        process.wait(timeout=300)
        process, jobs = held(project, rule, kill)
    if kill.what == "everything":
        os.killpg(process.pid, signal.SIGKILL)
    elif kill.what == "snakemake":
        process.kill()
        for_each(jobs, psutil.Process.resume)
        psutil.wait_procs(jobs, timeout=120)
    else:
        jobs[0].kill()
        for_each(jobs[1:], psutil.Process.resume)
    assert process.wait(timeout=300) != 0
    assert kill.what == "snakemake" or not made.exists(), rule


def held(project: Project, rule: str, kill: Kill) -> tuple[subprocess.Popen[bytes], list[psutil.Process]]:
    """Snakemake that makes the output anew, and the processes of its job, stopped as soon as it `shows`."""
    made = project.root / kill.output
    shutil.rmtree(made) if made.is_dir() else made.unlink(missing_ok=True)
    process = start(project, kill.output)
    while not (jobs := jobs_of(process, rule)) or (kill.shows and not any(project.root.glob(kill.shows))):
        assert process.poll() is None, f"Snakemake ended before {rule} {kill.shows}"
        time.sleep(0.002)
    for_each(jobs, psutil.Process.suspend)
    return process, jobs


def for_each(jobs: Sequence[psutil.Process], act: Callable[[psutil.Process], None]) -> None:
    """Stop or resume those that are still there."""
    for job in jobs:
        with suppress(psutil.NoSuchProcess):
            act(job)


def kill_in_each(project: Project, kills: Mapping[str, Kill]) -> None:
    """Kill in one rule after another, in the order of the workflow; then make all of their outputs, once."""
    for rule, kill in kills.items():
        kill_in(project, rule, kill)
    done = project.snakemake(*(kill.output for kill in kills.values()), *TWO_CORES)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def copied(project: Project, folder: Path) -> Project:
    """A copy with its results, to break."""
    shutil.copytree(project.root, folder, symlinks=True)
    return Project(folder)
