"""Each artefact that a job of the tiny run reads is damaged: the job names it in one sentence and ends.

The time of the file is kept, as a failing disk keeps it. Of each kind of job one input is damaged in one way,
others from job to job; with VIDKD_DAMAGE=all each of its inputs in every way (docs/reliability.md).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.workflow import warm
from tests.workflow.conftest import TINY, Project
from vidkd.paths import sidecar

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tiny")]

ALL = os.environ.get("VIDKD_DAMAGE") == "all"
STEP = 97
"""A bit of every so many bytes is flipped."""


def _flip(content: bytes) -> bytes:
    flipped = bytearray(content)
    flipped[::STEP] = bytes(byte ^ 1 for byte in content[::STEP])
    return bytes(flipped)


def _cut(content: bytes) -> bytes:
    """The first half; of a text up to a line end."""
    half = content[: len(content) // 2]
    return half[: half.rfind(b"\n") + 1] or half


def _last_line_twice(content: bytes) -> bytes:
    return content + content.splitlines(keepends=True)[-1]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "flipped": _flip,
    "cut": _cut,
    "empty": lambda content: b"",
    "of another kind": lambda content: b"\x89PNG\r\n\x1a\n",
    "its last line twice": _last_line_twice,
}


@dataclass(frozen=True)
class Job:
    """A job of the run, as Snakemake would start it again."""

    name: str
    output: str
    log: str
    command: str


def jobs(project: Project) -> list[Job]:
    """One job of each kind: rule, method, and table or figure."""
    planned = project.dry_run("-p", "--forceall", "--configfile", TINY)
    assert planned.returncode == 0, planned.stderr
    found: dict[str, Job] = {}
    for text in re.split(r"\n(?=\[\w{3} \w{3} )", planned.stdout):
        command = re.search(r"^Shell command: (.+)$", text, re.MULTILINE)
        if command is None:
            continue
        about = dict(re.findall(r"^    (output|log|wildcards): (.+)$", text, re.MULTILINE))
        if "output" not in about:
            continue
        rule = re.search(r"^(?:local)?(?:rule|checkpoint) (\w+):", text, re.MULTILINE)
        words = re.findall(r"(?:method|folder|table|figure)=(\w+)", about.get("wildcards", ""))
        name = " ".join([rule[1], *words])  # type: ignore[index]
        output = about["output"].split(", ")[0]
        found.setdefault(name, Job(name, output, about["log"], command[1]))
    return list(found.values())


def artefacts_read(project: Project, job: Job) -> list[str]:
    """What the finished job has read that a job of the run has made: of shards the last one."""
    output = project.root / job.output
    beside = [Path(sidecar(str(output))), *sorted(output.glob("*.provenance.json"))]
    record = json.loads(next(file for file in beside if file.is_file()).read_text())
    made = [name for name in record["inputs"] if (project.root / sidecar(name)).is_file()]
    return list({re.sub(r"\d+", "", name): name for name in made}.values())


def run(project: Project, job: Job) -> tuple[int, str]:
    """Start its command; the exit status, and what it wrote into its log."""
    environment = project.environment | {
        "PATH": f"{Path(warm.python()).parent}:{project.environment['PATH']}", "PYTHONPATH": str(project.root)
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail; exec {job.command}"],
        cwd=project.root, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return done.returncode, (project.root / job.log).read_text() + done.stdout + done.stderr


def tries(project: Project) -> Iterator[tuple[Job, str, str]]:
    """Job, file and damage: of each kind of job one, in turn, or all."""
    for turn, job in enumerate(jobs(project)):
        made = artefacts_read(project, job)
        files = [file for name in made for file in (name, sidecar(name))]
        every = [(job, file, damage) for file in files for damage in DAMAGES]
        yield from every if ALL else every[turn * 7 % max(len(every), 1) :][:1]


def outcome(project: Project, job: Job, name: str, damage: str) -> str:
    """What became of it; held: refused in one sentence that names the file."""
    with project.restored(name) as path:
        times = path.stat()
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        status, said = run(project, job)
    if "Traceback" in said:
        return "traceback"
    if status == 0:
        return "silent"
    file = name.removesuffix(".provenance.json")
    named = any(file in line for line in said.splitlines() if "Error: " in line)
    return "held" if named else f"not named: {said[-300:]}"


def test_no_damage_goes_on_in_silence(tiny, tmp_path):
    """It alone guards that whatever a job reads is checked, whichever script and reader it goes through."""
    project = Project(tmp_path / "project")
    shutil.copytree(tiny.project.root, project.root, symlinks=True)
    found = {try_: outcome(project, *try_) for try_ in tries(project)}
    assert len({job.name for job, _, _ in found}) > 40
    wrong = [
        f"{job.name}: {name} {damage}: {how}" for (job, name, damage), how in found.items() if how != "held"
    ]
    print(f"{len(found)} tried, {len(found) - len(wrong)} held")
    assert wrong == []
