"""Only what a change can matter to runs again (design: rerun only what changed)."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

import pytest

from tests.workflow.conftest import TINY

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tiny")]

PAGE = {"build_report": 1}
OF_TABLES = {"draw_per_class": 1, "draw_tradeoff": 1, **PAGE}
REPORT = {"tabulate_report": 1, **OF_TABLES}
TABLES = {"tabulate_tfd": 1, "draw_tfd": 1, **REPORT}
FIRST_SEED = {"measure_ffn": 1, "draw_confusion": 1}
FIRST_VARIANT = {"draw_mistakes": 1}
DRAWING = {
    **{"draw_tfd": 1, "draw_curves": 1, "draw_confusion": 1, "draw_clips": 1, "draw_dag": 1},
    **FIRST_VARIANT,
    **OF_TABLES,
}


def trained(number: int, **more: int) -> dict[str, int]:
    """Plan after `number` of the runs are trained again."""
    runs = {"train_ffn": number, "predict_ffn": number, "evaluate_ffn": number}
    return {**runs, "draw_curves": 1, **TABLES, **more}


ONE_TRAINED = trained(1, **FIRST_SEED, **FIRST_VARIANT)
ALL_TRAINED = trained(4, **FIRST_SEED, **FIRST_VARIANT)
EXTRACTED = {"extract_frames": 6, "check_frames": 1, "draw_clips": 1, **ALL_TRAINED}
LISTED = {"list_videos": 1, "probe_videos": 2, "build_manifest": 1, **EXTRACTED}


class Change(NamedTuple):
    name: str
    file: str
    old: str
    new: str
    plan: dict[str, int]


CHANGES = [
    Change("comment", "vidkd/methods/ffn/loss.py", "    largest = ", "    # why\n    largest = ", {}),
    Change("docstring", "vidkd/methods/ffn/loss.py", "FFN's temporal", "The temporal", {}),
    Change("formatting", "vidkd/methods/ffn/loss.py", "lambda_kl * kl", "(lambda_kl\n * kl)", {}),
    Change("log text", "vidkd/engine/run.py", 'log.info("', 'log.info("so: ', {}),
    Change("help text", "workflow_scripts/train_ffn.py", 'help="', 'help="So: ', {}),
    Change("threads", "rules/ffn.smk", "threads: max(", "threads: max(2, ", {}),
    Change("resources", TINY, "mem_mb: 2000", "mem_mb: 2001", {}),
    Change("several processes", TINY, "gpus: 0,", "gpus: 2,", {}),
    Change("curves for TensorBoard", TINY, "gpus: 0,", "gpus: 0, tensorboard: true,", {}),
    Change("docstring of a rule file", "rules/common.smk", "Everything in Python", "All the Python", {}),
    Change("lambda_kl of one variant", TINY, "ffn: {}", "ffn: {lambda_kl: 0.5}", ONE_TRAINED),
    Change("default written out", TINY, "ffn: {}", "ffn: {lambda_kl: 1.0}", {}),
    Change("another order of keys", TINY, "lr: 1.5e-3\n    size: 48", "size: 48\n    lr: 0.0015", {}),
    Change("base recipe", TINY, "lr: 1.5e-3", "lr: 1.6e-3", ALL_TRAINED),
    Change(
        "another variant",
        TINY,
        "ffn: {}",
        "ffn: {}\n    ce: {objective: cross_entropy}",
        trained(1, **FIRST_SEED),
    ),
    Change("another seed", TINY, "data:", "seeds: [0, 1]\n\ndata:", trained(4)),
    Change("table settings", TINY, "ffn:\n", "ffn:\n  tfd: {report_counts: [4, 16]}\n", TABLES),
    Change("TFD metric", "vidkd/evaluate/tfd.py", "\ndef ", "\nCHANGED = 1\n\n\ndef ", TABLES),
    Change("loss", "vidkd/methods/ffn/loss.py", "lambda_kl * kl", "2 * lambda_kl * kl", ALL_TRAINED),
    Change("frame settings", TINY, "short_side: 56", "short_side: 52", EXTRACTED),
    Change("rounds of a measurement", TINY, "rounds: 3", "rounds: 4", {"measure_ffn": 1, **REPORT}),
    Change("report tables", "vidkd/report/specs.py", "class Spec:", "class Spec(object):", REPORT | PAGE),
    Change("report title", TINY, "frames: {", 'report: {title: "Tiny"}\n\nframes: {', PAGE),
    Change("report code", "vidkd/report/page.py", "\ndef ", "\nCHANGED = 1\n\n\ndef ", PAGE),
    Change("report template", "vidkd/report/templates/page.html", "<body>", "<body >", PAGE),
    Change("figure code", "vidkd/report/figures.py", "\ndef ", "\nCHANGED = 1\n\n\ndef ", DRAWING),
    Change("demo split", TINY, "train: 48", "train: 49", {"generate_demo": 1, **LISTED}),
]


@pytest.mark.parametrize("change", CHANGES, ids=[change.name for change in CHANGES])
def test_plan_after_a_change(tiny, change):
    with tiny.project.restored(change.file):
        tiny.project.replace(change.file, change.old, change.new)
        assert tiny.project.plan() == change.plan


def test_nothing_runs_once_everything_is_as_it_was(tiny):
    assert tiny.project.plan() == {}


def made(project, stores, *more):
    """Times and digests of `stores`, made for real: a dry run knows no listing yet."""
    done = project.snakemake(*stores, "--cores", "2", "--configfile", TINY, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    files = [project.root / store for store in stores]
    return [(file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]


def test_an_added_video_extracts_its_shard_only(project):
    stores = [f"results/tiny/frames/{split}/shard_{k}.h5" for split in ("train", "val") for k in (0, 1)]
    before = made(project, stores)
    project.replace(TINY, "train: 48", "train: 49")
    after = made(project, stores)
    rewritten = [store for store, old, new in zip(stores, before, after, strict=True) if old[0] != new[0]]
    changed = [store for store, old, new in zip(stores, before, after, strict=True) if old[1] != new[1]]
    assert len(changed) == 1
    assert "train" in changed[0]
    assert {store[-4] for store in rewritten} == {changed[0][-4]}
    assert made(project, stores) == after


def test_a_listing_that_stays_the_same_trains_and_predicts_nothing(tiny):
    """As after a file that is no video was put into a folder of videos; what does run takes seconds."""
    done = tiny.project.snakemake("--cores", "2", "--configfile", TINY, "--forcerun", "list_videos")
    assert done.returncode == 0, done.stdout + done.stderr
    ran = set(re.findall(r"^local(?:rule|checkpoint) (\w+):$", done.stdout + done.stderr, re.MULTILINE))
    assert "list_videos" in ran
    assert ran.isdisjoint({"probe_videos", "extract_frames", "train_ffn", "predict_ffn"})


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [(TINY, "frames: 16}", "frames: 16, crf: 40}"), ("vidkd/data/demo_drawing.py", "382.5", "372.5")],
    ids=["crf", "drawing"],
)
def test_another_look_of_the_videos_extracts_them_again(project, file, old, new):
    """Their listing stays the same."""
    store, listing = "results/tiny/frames/train/shard_0.h5", "results/tiny/data/videos/shard_0.csv"
    (before,) = made(project, [store])
    listed = (project.root / listing).read_bytes()
    project.replace(file, old, new)
    (after,) = made(project, [store])
    assert (project.root / listing).read_bytes() == listed
    assert after[1] != before[1]
    ((_, afresh),) = made(
        project, ["results/new/frames/train/shard_0.h5"], "--config", "results_dir=results/new"
    )
    assert after[1] == afresh
    assert made(project, [store]) == [after]
