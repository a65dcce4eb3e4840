"""A copy of the project, and the tiny configuration run in it once for real."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = "config/experiments/tiny.yaml"
TABLE_ROW = re.compile(r"^(\w+) +(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Project:
    """A folder with the project in it."""

    root: Path

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake as somebody does who never activated the environment."""
        command = [sys.executable, "-m", "snakemake", *arguments]
        environment = {"HOME": str(self.root), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False, timeout=1700
        )

    def plan(self, *arguments: str) -> dict[str, int]:
        """What Snakemake would run: jobs by rule."""
        # Targets go first: `--configfile` takes all that follows it.
        done = self.snakemake(*arguments, "-n", "--configfile", TINY)
        assert done.returncode == 0, done.stdout + done.stderr
        table = done.stdout.partition("Job stats:")[2].partition("\ntotal")[0]
        assert table or "Nothing to be done" in done.stdout + done.stderr
        return {rule: int(count) for rule, count in TABLE_ROW.findall(table) if rule != "all"}

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


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Run:
    project = copy_project(tmp_path_factory.mktemp("tiny"))
    start = time.monotonic()
    cores = str(min(2, os.cpu_count() or 1))
    done = project.snakemake("--cores", cores, "--configfile", TINY)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return Run(project, done.stdout + done.stderr, time.monotonic() - start)


@pytest.fixture
def project(tmp_path) -> Project:
    return copy_project(tmp_path)
