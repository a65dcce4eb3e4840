"""Kills, damage and odd clocks: the same command again ends in the same bytes (docs/reliability.md)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.mounts import small_disk
from tests.workflow.conftest import ROOT, TINY, Project
from tests.workflow.kills import TWO_CORES, Kill, copied, jobs_of, kill_in_each, start
from tests.workflow.test_bad_input import check_refusal
from tests.workflow.test_reproducible import artefacts, differing
from vidkd.config.load import load_settings
from vidkd.methods.base import Plan
from vidkd.paths import Paths
from vidkd.registry import find_method

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tiny")]

RESULTS = Path("results/tiny")
STORE = RESULTS / "frames/train/shard_1.h5"
PATHS = Paths("results/tiny")
TRIMODEL = find_method("trimodel")(Plan(load_settings(ROOT / TINY)))
RUN = PATHS.run("ffn", "ffn", 0).folder
WEIGHTS = f"{RUN}/model.safetensors"
OF_VIDEOS = {
    "generate_demo": Kill(PATHS.demo_annotations.format(split="val"), what="job"),
    "probe_videos": Kill(PATHS.probe.format(shard=1)),
    "extract_frames": Kill(str(STORE), shows=f"{STORE.parent}/.*.tmp"),
    "train": Kill(WEIGHTS, shows=f"{RUN}/.state/state.pt"),
    "predict": Kill(f"{RUN}/predictions.csv", what="snakemake"),
    "evaluate": Kill(f"{RUN}/metrics.json", what="job"),
}
OF_FEATURES = {
    "cache_features": Kill(PATHS.features.format(backbone="clip", split="val", shard=0), what="job"),
    "fit_teacher": Kill(PATHS.teacher("student", "clip.colour").weights),
    "convert_features": Kill(
        PATHS.converted("converters", "linear.videomae", 0, split="test"), what="snakemake"
    ),
    "tabulate": Kill(PATHS.table("student", "teachers"), what="job"),
    "export": Kill(TRIMODEL.exported),
    "tabulate_report": Kill("results/tiny/report/tables/summary.csv"),
    "build_report": Kill(PATHS.report, what="snakemake"),
}


@pytest.fixture
def broken(tiny, tmp_path) -> Project:
    """The finished run, to break."""
    return copied(tiny.project, tmp_path / "project")


def finish(project: Project, *targets: str) -> None:
    done = project.snakemake(*targets, *TWO_CORES)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def test_killed_in_every_stage_the_same_command_ends_in_the_same_bytes(tiny, broken):
    """With no call of --unlock in between. Made anew up to FFN's table only: the rest would take minutes."""
    table = PATHS.table("ffn", "tfd")
    kill_in_each(broken, OF_VIDEOS)
    finish(broken, table)
    assert differing(broken, tiny.project) == []
    assert broken.plan(table) == {}


def test_killed_after_features_the_same_command_ends_in_the_same_bytes(tiny, broken):
    kill_in_each(broken, OF_FEATURES)
    finish(broken)
    assert differing(broken, tiny.project) == []


def test_a_training_that_outlives_snakemake_is_waited_for(broken):
    """Snakemake is killed alone: the same command says who is training, and once that has ended goes on."""
    broken.replace(TINY, "ffn: {}", "ffn: {epochs: 8}")
    process = start(broken, WEIGHTS)
    while not (broken.root / RUN / ".state/state.pt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    (training,) = jobs_of(process, "train")
    training.suspend()
    process.kill()
    process.wait()
    check_refusal(broken.snakemake(WEIGHTS, *TWO_CORES), ("another process is training into",))
    training.resume()
    psutil.wait_procs([training], timeout=300)
    finish(broken, WEIGHTS)
    assert broken.plan(WEIGHTS) == {}


def held_with_its_loader(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """A training, stopped when it has a loader process, and that."""
    while True:
        assert process.poll() is None, "no loader process was seen"
        time.sleep(0.002)
        if len(jobs := jobs_of(process, "train")) == 2:
            jobs[0].suspend()
            time.sleep(0.1)  # a command that it starts, git, has its command line for a moment
            if jobs_of(process, "train") == jobs:
                return jobs
            jobs[0].resume()


def test_a_killed_loader_process_is_said(broken):
    broken.replace(TINY, "gpus: 0,", "gpus: 0, workers: 1,")
    (broken.root / WEIGHTS).unlink()
    process = start(broken, WEIGHTS)
    training, loader = held_with_its_loader(process)
    loader.kill()
    training.resume()
    assert process.wait(timeout=300) != 0
    log = (broken.root / RESULTS / "logs/train/ffn.ffn.seed0.log").read_text()
    # torch logs, with its own prefix, what the signal of the loader's end interrupted.
    assert re.search("^Traceback", log, re.MULTILINE) is None
    assert "Error: out of memory with batch_size 16: lower it, or size, frame_counts or workers (1)" in log


def test_a_disk_that_fills_up_costs_nothing_once_there_is_room(tiny, broken):
    results = broken.root / RESULTS
    shutil.rmtree(results)
    size = sum(file.stat().st_size for file in (tiny.project.root / RESULTS / "frames").rglob("*.h5"))
    with small_disk(results, 2**20 + size // 2) as disk:
        check_refusal(broken.snakemake(*TWO_CORES), ("No space left on device", "Free space"))
        assert [path.name for path in disk.rglob("*.tmp")] == []
        subprocess.run(["mount", "-o", f"remount,size={2**28}", disk], check=True)
        finish(broken, WEIGHTS)
        whole = artefacts(tiny.project)
        made = {name: content for name, content in artefacts(broken).items() if name in whole}
        assert {"frames/train/shard_1.h5", "ffn/ffn/seed0/model.safetensors"} <= set(made)
        assert [name for name, content in made.items() if content != whole[name]] == []


def test_a_deleted_shard_comes_back_and_changes_nothing(tiny, broken):
    """Nothing needs it until it is asked for, or something is made anew of it."""
    (broken.root / STORE).unlink()
    assert broken.plan() == {}
    finish(broken, str(STORE))
    finish(broken, PATHS.table("ffn", "tfd"))
    assert differing(broken, tiny.project) == []


def test_truncated_weights_are_named_and_made_again(tiny, broken):
    weights, predictions = broken.root / WEIGHTS, f"{RUN}/predictions.csv"
    os.truncate(weights, weights.stat().st_size // 2)
    check_refusal(broken.snakemake(predictions, *TWO_CORES), (WEIGHTS,))
    weights.unlink()
    finish(broken, predictions)
    assert differing(broken, tiny.project) == []


def test_a_video_that_was_damaged_after_the_run_changes_no_result_by_itself(tiny, broken):
    """What was made of it when it was whole stays; extracted again, its split says which video it is."""
    video = next((broken.root / RESULTS / "demo/train").rglob("*.mp4"))
    video.write_bytes(video.read_bytes()[:100])
    assert broken.plan() == {}
    done = broken.snakemake(*TWO_CORES, "--forcerun", "probe_videos")
    check_refusal(done, (video.stem,))
    same = artefacts(broken)
    assert same["ffn/tfd.csv"] == artefacts(tiny.project)["ffn/tfd.csv"]


def test_a_clock_that_was_behind_changes_no_byte_and_settles(tiny, broken):
    """Frames, and all that came before them, were made while the clock was a month behind.

    Snakemake does not always see at once all that is older than them: the second call does the rest.
    """
    for folder in ("demo", "data", "frames"):
        for file in (broken.root / RESULTS / folder).rglob("*"):
            then = file.stat().st_mtime - 30 * 86400
            os.utime(file, (then, then))
    done = broken.snakemake(PATHS.table("ffn", "tfd"), *TWO_CORES)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    finish(broken, PATHS.table("ffn", "tfd"))
    assert differing(broken, tiny.project) == []
    assert broken.plan(PATHS.table("ffn", "tfd")) == {}
