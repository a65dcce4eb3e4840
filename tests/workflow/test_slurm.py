"""`snakemake --profile slurm` on a real SLURM of three virtual nodes, with what clusters do to jobs."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import yaml

from tests.workflow import slurm
from tests.workflow.conftest import OF_FFN, ROOT, TINY, Project, copy_project, keep_sections
from tests.workflow.test_reproducible import differing

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

PROFILE = "profiles/slurm/config.yaml"
LONG = {
    "tsm: {frame_counts: [16], weight_alteration: false}": "tsm: {frame_counts: [16], epochs: 30}",
    "st8: {frame_counts: [8], weight_alteration: false}": "st8: {frame_counts: [8], epochs: 30}",
}
"""Trainings that are long enough to be troubled."""
OF_FFN_ALONE = ("data", "demo", "frames", "ffn", "logs", "benchmarks")
"""Results of the tiny run that `local` goes on from; those of other methods would be in no other run."""
LIMITS = "train:runtime=attempt * attempt"
"""A minute, then four."""


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    try:
        with slurm.running_cluster():
            yield
    except slurm.Unavailable as reason:
        pytest.skip(str(reason))


def longer(project: Project) -> Project:
    """FFN alone: what befalls jobs is the same for all methods, and their trainings are one rule."""
    keep_sections(project, *OF_FFN)
    for old, new in LONG.items():
        project.replace(TINY, old, new)
    return project


@pytest.fixture(scope="module")
def local(tiny, tmp_path_factory) -> Project:
    """The run without a cluster: the tiny one, and what longer trainings change of it."""
    project = Project(tmp_path_factory.mktemp("local") / "project")
    results = project.root / "results/tiny"
    shutil.copytree(tiny.project.root, project.root, symlinks=True)
    for folder in (*results.iterdir(), results / "data/labels"):
        if folder.name not in OF_FFN_ALONE:
            shutil.rmtree(folder)
    longer(project)
    done = project.snakemake("--cores", "2", "--configfile", TINY)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return project


class Trouble:
    """What befalls a run, each once, as soon as it can."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.left: dict[str, Callable[[], bool]] = {
            "drained": self.drain,
            "cancelled": self.cancel,
            "late": self.hold_until_warned,
            "lost": self.lose_a_node,
        }
        self.drained = [0.0, 0.0]
        self.held: psutil.Process | None = None

    def cause(self) -> None:
        self.left = {name: happens for name, happens in self.left.items() if not happens()}

    def training(self, variant: str) -> slurm.Job | None:
        """The running training of `variant`, once it has a state to go on from."""
        state = self.project.root / f"results/tiny/ffn/{variant}/seed0/.state/state.pt"
        name = f"train_wildcards_ffn_{variant}_"
        running = (job for job in slurm.jobs() if job.rule.startswith(name) and job.runs)
        return next(running, None) if state.exists() else None

    def drain(self) -> bool:
        """Node a finishes what it has and gets nothing more."""
        if not any(job.runs and job.node == "a" for job in slurm.jobs()):
            return False
        slurm.scontrol("update", "NodeName=a", "State=DRAIN", "Reason=test")
        self.drained[0] = time.time()
        return True

    def cancel(self) -> bool:
        job = self.training("tsm")
        if job is not None:
            subprocess.run(["scancel", job.number], check=True)
        return job is not None

    def hold_until_warned(self) -> bool:
        """A training gets no further until its time is nearly over and SLURM has said so."""
        if self.held is None:
            if self.training("st8") is not None:
                self.held = self.process("ffn/st8/seed0")
                self.held.suspend()
            return False
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            if self.held.status() == psutil.STATUS_STOPPED:
                if pending(self.held, signal.SIGTERM):  # SLURM has not woken it itself
                    self.held.resume()
                return False
        return True

    def process(self, run: str) -> psutil.Process:
        """The one that trains into a folder of this project."""
        found = [
            process
            for process in psutil.process_iter(["cmdline", "cwd"])
            if process.info["cwd"] == str(self.project.root)
            and "workflow_scripts.train" in process.info["cmdline"]
            and any(word.endswith(run) for word in process.info["cmdline"])
        ]
        (process,) = found
        return process

    def lose_a_node(self) -> bool:
        """The node of a training that has hit its time limit before goes down for ever, its jobs with it."""
        job = self.training("st8")
        log = self.project.root / "results/tiny/logs/train/ffn.st8.seed0.log"
        if job is None or not log.exists() or "going on from epoch" not in log.read_text():
            return False
        self.drained[1] = time.time()
        slurm.scontrol("update", "NodeName=a", "State=RESUME")
        slurm.scontrol("update", f"NodeName={job.node}", "State=DOWN", "Reason=test")
        with suppress(subprocess.CalledProcessError):  # it may have come back by itself by now
            slurm.scontrol("update", f"NodeName={job.node}", "State=RESUME")
        return True


def pending(process: psutil.Process, number: signal.Signals) -> bool:
    """Has a stopped process been sent a signal?"""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return bool(int(re.search(r"ShdPnd:\s*(\w+)", status)[1], 16) >> (number - 1) & 1)  # type: ignore[index]


@pytest.fixture(scope="module")
def troubled(local, tmp_path_factory) -> tuple[Project, str, Trouble]:
    """The same run on the cluster, and what Snakemake said."""
    project = longer(copy_project(tmp_path_factory.mktemp("slurm")))
    trouble = Trouble(project)
    output = project.root / "output"
    command = [
        *(sys.executable, "-m", "snakemake", "--configfile", TINY, *slurm.FOR_THIS_CLUSTER),
        *("--set-resources", LIMITS, "--default-resources", "slurm_extra='--signal=TERM@30'", "mem_mb=2000"),
    ]
    with output.open("w") as stream:
        process = subprocess.Popen(
            command, cwd=project.root, env=project.environment, stdout=stream, stderr=stream
        )
        try:
            while process.poll() is None:
                trouble.cause()
                time.sleep(0.2)
        finally:
            process.kill()
    said = output.read_text(errors="replace")
    assert process.returncode == 0, said[-6000:]
    return project, said, trouble


def test_the_bytes_are_those_of_a_run_without_a_cluster_or_trouble(local, troubled):
    project, _, trouble = troubled
    assert trouble.left == {}
    assert differing(project, local) == []


def test_nothing_is_left_to_do(troubled):
    project, _, _ = troubled
    assert project.plan() == {}


def test_a_cancelled_training_saved_its_state_and_went_on(troubled):
    project, said, _ = troubled
    assert "going on from epoch" in (project.root / "results/tiny/logs/train/ffn.tsm.seed0.log").read_text()
    assert re.search(r"signal 15: state saved in results/tiny/ffn/tsm/seed0/.state", said)


def test_a_training_over_its_time_limit_was_warned_and_went_on(troubled):
    _, said, _ = troubled
    assert re.search(r"signal 15: state saved in results/tiny/ffn/st8/seed0/.state", said)


def test_a_drained_node_gets_nothing_more(troubled):
    _, _, trouble = troubled
    since, until = trouble.drained
    started = {job.node for job in slurm.jobs() if since + 2 < _start(job) < until}
    assert started == {"b"}


def _start(job: slurm.Job) -> float:
    found = re.search(r"StartTime=(\d\S+)", job.text)
    return time.mktime(time.strptime(found[1], "%Y-%m-%dT%H:%M:%S")) if found else 0.0


def test_figures_and_the_page_are_no_jobs(troubled):
    project, _, _ = troubled
    mine = {job.rule.partition("_wildcards")[0] for job in slurm.jobs() if str(project.root) in job.text}
    assert {"generate_demo", "train", "tabulate_report"} <= mine
    assert {rule for rule in mine if rule.startswith(("draw", "build"))} == {"build_manifest"}


def test_arrays_are_refused(local):
    (local.root / "results/tiny/report/index.html").unlink()
    done = local.snakemake("--configfile", TINY, *slurm.FOR_THIS_CLUSTER, "--slurm-array-jobs", "all")
    assert done.returncode != 0
    assert "arrays make finished steps run again" in done.stderr
    assert "Traceback" not in done.stderr


def uncomment_gpu_rules(project: Project, more: str) -> list[str]:
    """Have the profile name a partition for GPU rules as its comment says; the rules."""
    path = project.root / PROFILE
    before, start, after = path.read_text().partition("# set-resources:\n")
    block, end, rest = after.partition("\n\n")
    lines = [line.removeprefix("# ") for line in (start + block).splitlines()]
    lines.insert(3, more)
    path.write_text(before + "\n".join(lines) + end + rest)
    return list(yaml.safe_load("\n".join(lines))["set-resources"])


PLACES = {"train": ("gpu", True), "predict": ("gpu", True), "evaluate": ("gpu", False)}
"""Partition, and whether a GPU: the figures of a classifier need none."""


@pytest.mark.parametrize(
    ("style", "places"),
    [
        pytest.param("", PLACES, id="gpus"),
        pytest.param('    gpu: 0\n    gres: "gpu:1"', {"train": PLACES["train"]}, id="gres"),
    ],
)
def test_a_training_asks_for_a_gpu_where_gpus_are(local, tmp_path, style, places):
    """The GPU of this cluster is one in name only: the job trains on the CPU."""
    project = Project(tmp_path / "project")
    shutil.copytree(local.root, project.root, symlinks=True)
    uncomment_gpu_rules(project, style)
    project.replace(PROFILE, "# slurm_partition: cpu", "slurm_partition: cpu")
    project.replace(TINY, "gpus: 0", "gpus: 1")
    made = ("model.safetensors", "predictions.csv", "metrics.json")[: len(places)]
    targets = [f"results/tiny/ffn/st4/seed0/{name}" for name in made]
    for target in targets:
        (project.root / target).unlink()
    done = project.snakemake(
        targets[-1], "--configfile", TINY, *slurm.FOR_THIS_CLUSTER, python=sys.executable
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    mine = [job for job in slurm.jobs() if str(project.root) in job.text]
    found = {job.rule.partition("_wildcards")[0]: (job.partition, "gres:gpu:1" in job.text) for job in mine}
    assert found == places


def test_the_gpu_rules_of_the_profile_are_those_that_ask_for_one(tmp_path):
    rules = "\n".join(file.read_text() for file in sorted((ROOT / "rules").glob("*.smk")))
    asking = {
        re.match(r"\w+", text)[0]  # type: ignore[index]
        for text in re.split(r"^rule ", rules, flags=re.MULTILINE)[1:]
        if re.search(r"gpu=flow.", text)
    }
    project = Project(tmp_path)
    (tmp_path / Path(PROFILE).parent).mkdir(parents=True)
    shutil.copy(ROOT / PROFILE, tmp_path / PROFILE)
    assert set(uncomment_gpu_rules(project, "")) == asking
