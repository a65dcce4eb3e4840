"""A copy of the project, and the tiny configuration run in it once for real."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.workflow import warm

ROOT = Path(__file__).resolve().parents[2]
TINY = "config/experiments/tiny.yaml"
TABLE_ROW = re.compile(r"^(\w+) +(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Project:
    """A folder with the project in it."""

    root: Path

    def snakemake(self, *arguments: str, python: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run Snakemake as somebody does who never activated the environment.

        Without `python` it and its jobs are forks of a process that has imported the libraries.
        """
        return subprocess.run(
            [python or warm.python(), "-m", "snakemake", *arguments],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=1700,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.root), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}

    def dry_run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What Snakemake says it would do."""
        # Targets go first: `--configfile` takes all that follows it.
        return self.snakemake(*arguments, "--dry-run")

    def plan(self, *arguments: str) -> dict[str, int]:
        """What Snakemake would run of the tiny configuration: jobs by rule."""
        return job_counts(self.dry_run(*arguments, "--configfile", TINY))

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace text that occurs in a file once or more."""
        path = self.root / name
        text = path.read_text()
        assert old in text, f"{name} no longer contains {old!r}"
        path.write_text(text.replace(old, new, 1))

    @contextmanager
    def restored(self, name: str) -> Iterator[Path]:
        """A file that may be changed: afterwards its content and times are what they were."""
        path = self.root / name
        before, times = path.read_bytes(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
        try:
            yield path
        finally:
            path.write_bytes(before)
            os.utime(path, ns=times)


def job_counts(dry_run: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Jobs by rule of a dry run."""
    assert dry_run.returncode == 0, dry_run.stdout + dry_run.stderr
    table = dry_run.stdout.partition("Job stats:")[2].partition("\ntotal")[0]
    assert table or "Nothing to be done" in dry_run.stdout + dry_run.stderr
    return {rule: int(count) for rule, count in TABLE_ROW.findall(table) if rule != "all"}


def copy_project(to: Path) -> Project:
    """A copy of everything that is or could be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name, follow_symlinks=False)
    return Project(to)


@dataclass(frozen=True)
class Run:
    """The finished tiny run."""

    project: Project
    output: str
    seconds: float


class Runs:
    """Whole runs, each made once whatever the number of pytest's processes, of which each has a copy."""

    def __init__(self, base: Path, shared: Path) -> None:
        self.base, self.shared = base, shared

    def copy(self, name: str, configure: Callable[[Project], None], python: str | None = None) -> Run:
        """A copy of the run of that name, which the first who asks for it makes."""
        made, done = self.shared / name, self.shared / f"{name}.json"
        with (self.shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                done.write_text(json.dumps(_run(copy_project(made), configure, python)))
        own = Project(self.base / f"own_{name}")
        shutil.copytree(made, own.root, symlinks=True)
        return Run(own, **json.loads(done.read_text()))


def _run(
    project: Project, configure: Callable[[Project], None], python: str | None
) -> dict[str, str | float]:
    configure(project)
    start = time.monotonic()
    cores = str(min(2, os.cpu_count() or 1))
    done = project.snakemake("--cores", cores, "--configfile", TINY, python=python)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return {"output": done.stdout + done.stderr, "seconds": time.monotonic() - start}


@pytest.fixture(scope="session")
def runs(tmp_path_factory, worker_id) -> Runs:
    base = tmp_path_factory.getbasetemp()
    return Runs(base, base if worker_id == "master" else base.parent)


@pytest.fixture(scope="session")
def tiny(runs) -> Run:
    """The run of the tiny configuration, each of its processes started as a user's are."""
    return runs.copy("tiny", lambda project: None, sys.executable)


@pytest.fixture(scope="session")
def every_method(runs) -> Project:
    """The run of a small configuration of every method beside FFN."""
    from tests.workflow.every_method import configure  # imports torch, which plans do without

    return runs.copy("every_method", configure).project


@pytest.fixture
def project(tmp_path) -> Project:
    return copy_project(tmp_path)
