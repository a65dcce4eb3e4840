"""Kills, damage and odd clocks: the same command again ends in the same bytes (docs/reliability.md)."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.mounts import small_disk
from tests.workflow.conftest import TINY, Project
from tests.workflow.kills import TWO_CORES, copied, jobs_of, kill_in, start
from tests.workflow.test_bad_input import check_refusal
from tests.workflow.test_reproducible import artefacts

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tiny")]

RESULTS = Path("results/tiny")
STORE = RESULTS / "frames/train/shard_1.h5"
STAGES = {
    "generate_demo": ("job", ""),
    "list_videos": ("everything", ""),
    "probe_videos": ("job", ""),
    "build_manifest": ("everything", ""),
    "extract_frames": ("everything", f"{RESULTS}/frames/*/.*.tmp"),
    "check_frames": ("job", ""),
    "train_ffn": ("everything", f"{RESULTS}/ffn/*/seed0/.state/state.pt"),
    "predict_ffn": ("snakemake", ""),
    "measure_ffn": ("job", ""),
    "evaluate_ffn": ("everything", ""),
    "tabulate_tfd": ("snakemake", ""),
    "draw_curves": ("everything", ""),
    "tabulate_report": ("job", ""),
    "build_report": ("snakemake", ""),
}
"""Rules in the order of their jobs, what is killed in one of them, and what shows how far it has come."""


@pytest.fixture
def broken(tiny, tmp_path) -> Project:
    """The finished run, to break."""
    return copied(tiny.project, tmp_path / "project")


def finish(project: Project) -> None:
    done = project.snakemake(*TWO_CORES)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def same_bytes(project: Project, wanted: dict[str, bytes]) -> None:
    found = artefacts(project)
    assert set(found) == set(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []


def test_killed_in_every_stage_the_same_command_ends_in_the_same_bytes(tiny, broken):
    """With no call of --unlock in between."""
    shutil.rmtree(broken.root / "results")
    for rule, (what, shows) in STAGES.items():
        kill_in(broken, rule, what=what, shows=shows)
    finish(broken)
    same_bytes(broken, artefacts(tiny.project))


def test_a_training_that_outlives_snakemake_is_waited_for(tiny, broken):
    """Snakemake is killed alone: the same command says who is training, and once that has ended goes on."""
    broken.replace(TINY, "ffn: {}", "ffn: {epochs: 40}")
    process = start(broken)
    while not (broken.root / RESULTS / "ffn/ffn/seed0/.state/state.pt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    (training,) = jobs_of(process, "train_ffn")
    process.kill()
    process.wait()
    training.suspend()
    check_refusal(broken.snakemake(*TWO_CORES), ("another process is training into",))
    training.resume()
    psutil.wait_procs([training], timeout=300)
    finish(broken)
    assert broken.plan() == {}


def test_a_killed_loader_process_is_said(broken):
    broken.replace(TINY, "gpus: 0,", "gpus: 0, workers: 1,")
    (broken.root / RESULTS / "ffn/ffn/seed0/model.safetensors").unlink()
    process = start(broken)
    while len(jobs := jobs_of(process, "train_ffn")) < 2:
        assert process.poll() is None
        time.sleep(0.002)
    jobs[-1].kill()
    assert process.wait(timeout=300) != 0
    log = (broken.root / RESULTS / "logs/train_ffn/ffn.seed0.log").read_text()
    assert "Traceback" not in log
    assert "Error: " in log


def test_a_disk_that_fills_up_costs_nothing_once_there_is_room(tiny, broken):
    results = broken.root / RESULTS
    shutil.rmtree(results)
    size = sum(file.stat().st_size for file in (tiny.project.root / RESULTS / "frames").rglob("*.h5"))
    with small_disk(results, 2**20 + size // 2) as disk:
        check_refusal(broken.snakemake(*TWO_CORES), ("No space left on device", "Free space"))
        assert [path.name for path in disk.rglob("*.tmp")] == []
        subprocess.run(["mount", "-o", f"remount,size={2**28}", disk], check=True)
        finish(broken)
        same_bytes(broken, artefacts(tiny.project))


def test_a_deleted_shard_comes_back_and_changes_nothing(tiny, broken):
    (broken.root / STORE).unlink()
    assert broken.plan()["extract_frames"] == 1
    finish(broken)
    same_bytes(broken, artefacts(tiny.project))


def test_truncated_weights_are_named_and_made_again(tiny, broken):
    weights = broken.root / RESULTS / "ffn/tsm/seed0/model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)
    (broken.root / RESULTS / "ffn/tsm/seed0/predictions.csv").unlink()
    check_refusal(broken.snakemake(*TWO_CORES), (str(weights.relative_to(broken.root)),))
    weights.unlink()
    finish(broken)
    same_bytes(broken, artefacts(tiny.project))


def test_a_video_that_was_damaged_after_the_run_changes_no_result_by_itself(tiny, broken):
    """What was made of it when it was whole stays; extracted again, its split says which video it is."""
    video = next((broken.root / RESULTS / "demo/train").rglob("*.mp4"))
    video.write_bytes(video.read_bytes()[:100])
    assert broken.plan() == {}
    done = broken.snakemake(*TWO_CORES, "--forcerun", "probe_videos")
    check_refusal(done, (video.stem,))
    same = artefacts(broken)
    assert same["ffn/tfd.csv"] == artefacts(tiny.project)["ffn/tfd.csv"]


@pytest.mark.parametrize("days", [-30, 30])
def test_a_clock_that_jumps_changes_no_byte_and_settles(tiny, broken, days):
    """Frames, and all that came before them, were made while the clock was wrong."""
    for folder in ("demo", "data", "frames"):
        for file in (broken.root / RESULTS / folder).rglob("*"):
            then = file.stat().st_mtime + days * 86400
            os.utime(file, (then, then))
    finish(broken)
    same_bytes(broken, artefacts(tiny.project))
    assert broken.plan() == {}
