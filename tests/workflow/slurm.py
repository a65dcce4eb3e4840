"""The SLURM of tests/slurm_cluster.sh: started, asked, and troubled."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from tests.workflow.conftest import ROOT

SCRIPT = ROOT / "tests/slurm_cluster.sh"
FOR_THIS_CLUSTER = (
    *("--profile", "slurm", "--slurm-no-account", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "10"),
)


class Unavailable(Exception):
    """There can be no SLURM here, and why."""


@contextmanager
def running_cluster() -> Iterator[None]:
    """SLURM, ended afterwards with all its jobs.

    Raises:
        Unavailable: not root, packages are missing, or a SLURM of somebody else is set up here.
    """
    # Its daemons keep what they are given as output open, so that nobody could wait for its end.
    with subprocess.Popen(
        [SCRIPT, "start"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline() if process.wait() else ""
    if process.returncode:
        raise Unavailable(said.strip())
    try:
        yield
    finally:
        subprocess.run([SCRIPT, "stop"], check=True)
    _, left = psutil.wait_procs(processes_of_jobs(), timeout=10)
    assert left == []


def processes_of_jobs() -> list[psutil.Process]:
    """What jobs of this cluster have started and what still runs, whether SLURM knows of it or not."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("SLURM_CLUSTER_NAME") == "vidkd":
                found.append(process)
    return found


@dataclass(frozen=True)
class Job:
    """One entry of `scontrol show job`."""

    number: str
    rule: str
    state: str
    node: str
    partition: str
    text: str

    @property
    def runs(self) -> bool:
        return self.state == "RUNNING"


def jobs() -> list[Job]:
    """Every job that SLURM remembers (minutes after its end too), by number."""
    text = scontrol("--oneliner", "show", "job")
    return [_job(line) for line in text.splitlines() if line.startswith("JobId=")]


def scontrol(*arguments: str) -> str:
    return subprocess.run(["scontrol", *arguments], check=True, capture_output=True, text=True).stdout


def _job(line: str) -> Job:
    def value(key: str) -> str:
        found = re.search(rf"\b{key}=(\S+)", line)
        return found[1] if found else ""

    rule = value("Comment").removeprefix("rule_")
    return Job(value("JobId"), rule, value("JobState"), value("NodeList"), value("Partition"), line)
