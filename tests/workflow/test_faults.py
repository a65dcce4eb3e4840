"""Kills, damage and odd clocks: the same command again ends in the same bytes (docs/reliability.md)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.mounts import small_disk
from tests.workflow.conftest import TINY, Project
from tests.workflow.test_bad_input import check_refusal
from tests.workflow.test_reproducible import artefacts

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tiny")]

COMMAND = ("--cores", "2", "--configfile", TINY)
RESULTS = Path("results/tiny")
STORE = RESULTS / "frames/train/shard_1.h5"
STAGES = {
    "generate_demo": "job",
    "list_videos": "all",
    "probe_videos": "job",
    "build_manifest": "all",
    "extract_frames": "all",
    "check_frames": "job",
    "train_ffn": "job",
    "predict_ffn": "snakemake",
    "measure_ffn": "job",
    "evaluate_ffn": "all",
    "tabulate_tfd": "snakemake",
    "draw_curves": "all",
    "tabulate_report": "job",
    "build_report": "snakemake",
}
"""Rules in the order of their jobs, and what is killed while one of them runs."""


@pytest.fixture
def copied(tiny, tmp_path) -> Project:
    """The finished run, to break."""
    project = Project(tmp_path / "project")
    shutil.copytree(tiny.project.root, project.root, symlinks=True)
    return project


def start(project: Project) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", *COMMAND], cwd=project.root, start_new_session=True,
        env={"HOME": str(project.root), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def jobs_of(process: subprocess.Popen[bytes], rule: str) -> list[psutil.Process]:
    """The running scripts of a rule, loader processes included."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return [child for child in children if f"workflow_scripts.{rule}" in child.cmdline()]
    except psutil.NoSuchProcess:
        return []


def kill_in(project: Project, rule: str, what: str) -> None:
    """Start the command, and kill -9 while a job of `rule` runs: it, Snakemake alone, or everything."""
    process = start(project)
    while not (jobs := jobs_of(process, rule)):
        assert process.poll() is None, f"Snakemake ended before {rule} ran"
        time.sleep(0.002)
    if what == "all":
        os.killpg(process.pid, signal.SIGKILL)
    elif what == "snakemake":
        process.kill()
        psutil.wait_procs(jobs, timeout=120)
    else:
        jobs[0].kill()
    assert process.wait(timeout=300) != 0


def finish(project: Project) -> None:
    done = project.snakemake(*COMMAND)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def same_bytes(project: Project, wanted: dict[str, bytes]) -> None:
    found = artefacts(project)
    assert set(found) == set(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []


def test_killed_in_every_stage_the_same_command_ends_in_the_same_bytes(tiny, copied):
    """With no call of --unlock in between."""
    shutil.rmtree(copied.root / "results")
    for rule, what in STAGES.items():
        kill_in(copied, rule, what)
    finish(copied)
    same_bytes(copied, artefacts(tiny.project))


def test_a_training_that_outlives_snakemake_is_waited_for(tiny, copied):
    """Snakemake is killed alone: the same command says who is training, and once that has ended goes on."""
    copied.replace(TINY, "ffn: {}", "ffn: {epochs: 40}")
    process = start(copied)
    while not (copied.root / RESULTS / "ffn/ffn/seed0/.state/state.pt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    (training,) = jobs_of(process, "train_ffn")
    process.kill()
    process.wait()
    training.suspend()
    check_refusal(copied.snakemake(*COMMAND), ("another process is training into",))
    training.resume()
    psutil.wait_procs([training], timeout=300)
    finish(copied)
    assert copied.plan() == {}


def test_a_killed_loader_process_is_said(copied):
    copied.replace(TINY, "gpus: 0,", "gpus: 0, workers: 1,")
    (copied.root / RESULTS / "ffn/ffn/seed0/model.safetensors").unlink()
    process = start(copied)
    while len(jobs := jobs_of(process, "train_ffn")) < 2:
        assert process.poll() is None
        time.sleep(0.002)
    jobs[-1].kill()
    assert process.wait(timeout=300) != 0
    log = (copied.root / RESULTS / "logs/train_ffn/ffn.seed0.log").read_text()
    assert "Traceback" not in log
    assert "Error: " in log


def test_a_disk_that_fills_up_costs_nothing_once_there_is_room(tiny, copied):
    results = copied.root / RESULTS
    shutil.rmtree(results)
    size = sum(file.stat().st_size for file in (tiny.project.root / RESULTS / "frames").rglob("*.h5"))
    with small_disk(results, 2**20 + size // 2) as disk:
        check_refusal(copied.snakemake(*COMMAND), ("No space left on device", "Free space"))
        assert [path.name for path in disk.rglob("*.tmp")] == []
        subprocess.run(["mount", "-o", f"remount,size={2**28}", disk], check=True)
        finish(copied)
        same_bytes(copied, artefacts(tiny.project))


def test_a_deleted_shard_comes_back_and_changes_nothing(tiny, copied):
    (copied.root / STORE).unlink()
    assert copied.plan()["extract_frames"] == 1
    finish(copied)
    same_bytes(copied, artefacts(tiny.project))


def test_truncated_weights_are_named_and_made_again(tiny, copied):
    weights = copied.root / RESULTS / "ffn/tsm/seed0/model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)
    (copied.root / RESULTS / "ffn/tsm/seed0/predictions.csv").unlink()
    check_refusal(copied.snakemake(*COMMAND), (str(weights.relative_to(copied.root)),))
    weights.unlink()
    finish(copied)
    same_bytes(copied, artefacts(tiny.project))


def test_a_video_that_was_damaged_after_the_run_changes_no_result_by_itself(tiny, copied):
    """What was made of it when it was whole stays; extracted again, its split says which video it is."""
    video = next((copied.root / RESULTS / "demo/train").rglob("*.mp4"))
    video.write_bytes(video.read_bytes()[:100])
    assert copied.plan() == {}
    done = copied.snakemake(*COMMAND, "--forcerun", "probe_videos")
    check_refusal(done, (video.stem,))
    same = artefacts(copied)
    assert same["ffn/tfd.csv"] == artefacts(tiny.project)["ffn/tfd.csv"]


@pytest.mark.parametrize("days", [-30, 30])
def test_a_clock_that_jumps_changes_no_byte_and_settles(tiny, copied, days):
    """Frames, and all that came before them, were made while the clock was wrong."""
    for folder in ("demo", "data", "frames"):
        for file in (copied.root / RESULTS / folder).rglob("*"):
            then = file.stat().st_mtime + days * 86400
            os.utime(file, (then, then))
    finish(copied)
    same_bytes(copied, artefacts(tiny.project))
    assert copied.plan() == {}
