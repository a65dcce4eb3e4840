"""A copy of the project, and the tiny configuration run in it once for real."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.workflow import warm

ROOT = Path(__file__).resolve().parents[2]
TINY = "config/experiments/tiny.yaml"
OF_FFN = ("results_dir", "data", "demo", "frames", "ffn", "latency", "compute")
"""The sections that FFN needs."""
_JOB = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .+\n)+)", re.MULTILINE)


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
        """What Snakemake would run of the tiny configuration: jobs by name, see `job_counts`."""
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
    """Jobs of a dry run by rule, and by what tells jobs of one rule apart: `train ffn`, `draw tfd`."""
    assert dry_run.returncode == 0, dry_run.stdout + dry_run.stderr
    jobs = [_job_name(rule, text) for rule, text in _JOB.findall(dry_run.stdout)]
    assert jobs or "Nothing to be done" in dry_run.stdout + dry_run.stderr
    return dict(Counter(name for name in jobs if name != "all"))


def _job_name(rule: str, text: str) -> str:
    found = re.search(r"^    wildcards: (.+)$", text, re.MULTILINE)
    wildcards = dict(re.findall(r"(\w+)=([^,]+)", found[1])) if found else {}
    if rule == "tabulate":
        return f"tabulate {wildcards['folder']}/{wildcards['table']}"
    return " ".join([rule, *(wildcards[name] for name in ("method", "figure") if name in wildcards)])


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


class Runs:
    """Whole runs, each made once whatever the number of pytest's processes, of which each has a copy."""

    def __init__(self, base: Path, shared: Path) -> None:
        self.base, self.shared = base, shared

    def copy(self, name: str) -> Run:
        """A copy of the run of that name, which the first who asks for it makes."""
        made, done = self.shared / name, self.shared / f"{name}.txt"
        with (self.shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                done.write_text(_run(copy_project(made)))
        own = Project(self.base / f"own_{name}")
        shutil.copytree(made, own.root, symlinks=True)
        return Run(own, done.read_text())


def _run(project: Project) -> str:
    done = project.snakemake("--cores", str(min(2, os.cpu_count() or 1)), "--configfile", TINY)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def runs(tmp_path_factory, worker_id) -> Runs:
    base = tmp_path_factory.getbasetemp()
    return Runs(base, base if worker_id == "master" else base.parent)


@pytest.fixture(scope="session")
def tiny(runs) -> Run:
    """The run of the tiny configuration: every rule and every method."""
    return runs.copy("tiny")


@pytest.fixture
def project(tmp_path) -> Project:
    return copy_project(tmp_path)


@pytest.fixture
def ffn_alone(project) -> Project:
    """A project whose tiny configuration has FFN and nothing else."""
    keep_sections(project, *OF_FFN)
    return project


def keep_sections(project: Project, *names: str) -> None:
    """Leave only these sections in the tiny configuration, as they are written."""
    path = project.root / TINY
    parts = re.split(r"^(?=\w)", path.read_text(), flags=re.MULTILINE)
    path.write_text("".join(part for part in parts if part.partition(":")[0] in names))
