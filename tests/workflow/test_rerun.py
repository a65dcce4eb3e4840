"""Only what a change can matter to runs again (design: rerun only what changed)."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

import pytest

from tests.workflow.conftest import TINY
from vidkd.paths import Paths

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tiny")]

PATHS = Paths("results/tiny")
ALL = "all"
TARGETS = {
    "ffn": PATHS.table("ffn", "tfd"),
    "probes": PATHS.table("features", "probes"),
    "fusion": PATHS.table("fusion", "fusion"),
    "student": PATHS.table("student", "student"),
    "trimodel": PATHS.table("trimodel", "trimodel"),
}
TABLE = {
    name: {f"tabulate {path.removeprefix('results/tiny/').removesuffix('.csv')}": 1}
    for name, path in TARGETS.items()
}
MEASURED = {"student": {"measure student": 1}, "trimodel": {"measure trimodel": 1}}
"""Their tables have times."""

PAGE = {"build_report": 1}
REPORT = {"tabulate_report": 1, "draw per_class": 1, "draw tradeoff": 1, **PAGE}
CODE = ("\ndef ", "\nCHANGED = 1\n\n\ndef ")


def trained(method: str, number: int, predicted: int | None = None, **others: int) -> dict[str, int]:
    """Jobs up to the table of a method after `number` of its runs are trained again."""
    each = predicted or number
    runs = {f"train {method}": number, f"predict {method}": each, f"evaluate {method}": each}
    more = {name.replace("__", " "): count for name, count in others.items()}
    return {**runs, **MEASURED.get(method, {}), **TABLE[method], **more}


def evaluated(method: str, number: int) -> dict[str, int]:
    return {f"evaluate {method}": number, **TABLE[method]}


class Change(NamedTuple):
    """A change of a file, and the jobs that it asks for until a target."""

    name: str
    target: str
    file: str
    old: str
    new: str
    plan: dict[str, int]


FFN_LOSS = ("vidkd/methods/ffn/loss.py", "lambda_kl * kl", "2 * lambda_kl * kl")
CHANGES = [
    # Nothing.
    Change("comment", ALL, "vidkd/methods/ffn/loss.py", "    largest = ", "    # why\n    largest = ", {}),
    Change("docstring", ALL, "vidkd/methods/ffn/loss.py", "FFN's temporal", "The temporal", {}),
    Change("formatting", ALL, "vidkd/methods/ffn/loss.py", "lambda_kl * kl", "(lambda_kl\n * kl)", {}),
    Change("log text", ALL, "vidkd/engine/run.py", 'log.info("', 'log.info("so: ', {}),
    Change("help text", ALL, "workflow_scripts/train.py", 'help="', 'help="So: ', {}),
    Change("threads", ALL, "rules/report.smk", "threads: 1", "threads: 2", {}),
    Change("resources", ALL, TINY, "mem_mb: 2000", "mem_mb: 2001", {}),
    Change("several processes", ALL, TINY, "gpus: 0,", "gpus: 2,", {}),
    Change("curves for TensorBoard", ALL, TINY, "gpus: 0,", "gpus: 0, trackers: [tensorboard],", {}),
    Change("what the rules ask", ALL, "vidkd/workflow/methods.py", "TEACHERS_FIRST = 1000",
           "TEACHERS_FIRST = 1001", {}),
    Change("default written out", ALL, TINY, "ffn: {}", "ffn: {lambda_kl: 1.0}", {}),
    Change("of another method", ALL, TINY, "distilled: {}", "distilled: {temperature: 3}", {}),
    Change("another order of keys", ALL, TINY, "lr: 1.5e-3\n    size: 48", "size: 48\n    lr: 0.0015", {}),
    # The report.
    Change("report tables", ALL, "vidkd/report/render.py", *CODE, REPORT),
    Change("report title", ALL, TINY, "frames: {per", 'report: {title: "Tiny"}\n\nframes: {per', PAGE),
    Change("report code", ALL, "vidkd/report/page.py", *CODE, PAGE),
    Change("report template", ALL, "vidkd/report/templates/page.html", "<body>", "<body >", PAGE),
    Change("one figure", ALL, "vidkd/report/confusion.py", *CODE,
           {**{f"draw confusion_{name}": 1 for name in ("ffn", "fusion", "student", "trimodel")}, **PAGE}),
    Change("rounds of a measurement", ALL, TINY, "rounds: 2", "rounds: 3",
           {**{f"measure {name}": 1 for name in ("ffn", "fusion", "student", "trimodel")},
            **TABLE["student"], **TABLE["trimodel"], "tabulate trimodel/per_class": 1, **REPORT}),
    # FFN, to the end.
    Change("lambda_kl of one variant", ALL, TINY, "ffn: {}", "ffn: {lambda_kl: 0.5}",
           trained("ffn", 1, **{"measure__ffn": 1, "tabulate__ffn/any_frame": 1, "draw__tfd": 1,
                                "draw__curves_ffn": 1, "draw__confusion_ffn": 1, "draw__mistakes_ffn": 1,
                                **REPORT})),
    Change("base recipe", "ffn", TINY, "lr: 1.5e-3", "lr: 1.6e-3", trained("ffn", 4, 5)),
    Change("another variant", "ffn", TINY, "ffn: {}", "ffn: {}\n    ce: {objective: cross_entropy}",
           trained("ffn", 1)),
    Change("another seed", "ffn", TINY, "data: {", "seeds: [0, 1]\n\ndata: {", trained("ffn", 4, 5)),
    Change("table settings", "ffn", TINY, "ffn:\n  base", "ffn:\n  tfd: {report_counts: [4, 16]}\n  base",
           TABLE["ffn"]),
    Change("loss", "ffn", *FFN_LOSS, trained("ffn", 4, 5)),
    Change("its metric", "ffn", "vidkd/methods/ffn/table.py", *CODE, evaluated("ffn", 5)),
    Change("FFN's loss", "student", *FFN_LOSS, {}),
    # Probes.
    Change("setting of a head", "probes", TINY, "probes:\n", "probes:\n  attentive: {epochs: 3}\n",
           trained("probes", 4)),
    Change("of the other", "probes", TINY, "probes:\n", "probes:\n  linear: {l2: [1]}\n",
           trained("probes", 4)),
    Change("code of a head", "probes", "vidkd/methods/probes/linear.py", *CODE, trained("probes", 4)),
    Change("pairs", "probes", TINY, "move_left: move_right}}\n\nc", "move_up: move_down}}\n\nc",
           evaluated("probes", 8)),
    # Converters and fusion.
    Change("recipe of the heads", "fusion", TINY, "width: 16", "width: 24", trained("fusion", 3)),
    Change("one head", "fusion", TINY, "real: {features: real}", "real: {features: real, lr: 0.1}",
           trained("fusion", 1)),
    Change("its sweep", "fusion", TINY, "[1.0e-3, 1.0e-2]", "[1.0e-3]", trained("fusion", 3)),
    Change("code of the head", "fusion", "vidkd/methods/fusion/method.py", "gate_sparsity * means",
           "gate_sparsity * 2 * means", trained("fusion", 3)),
    Change("a converter of no head", "fusion", TINY, "random: {epochs: 0}", "random: {epochs: 0, lr: 1}", {}),
    Change("a converter", "fusion", TINY, "linear: {kind: linear}", "linear: {kind: linear, lr: 0.1}",
           trained("fusion", 1, train__converters=1, **{"convert_features converters": 1})),
    Change("what it is compared with", "fusion", TINY, "fusion:\n", "fusion:\n  baseline: real\n",
           TABLE["fusion"]),
    # Students.
    Change("a student", "student", TINY, "distilled: {}", "distilled: {beta: 2}", trained("student", 1)),
    Change("loss of students", "student", "vidkd/methods/student/loss.py", *CODE, trained("student", 2)),
    Change("prompts", "student", TINY, "backbone: clip, margin: 0}",
           'backbone: clip, margin: 0, templates: ["a {} thing"]}',
           trained("student", 1, 2, **{"fit_teacher student": 1})),
    Change("figures of students", "student", "vidkd/methods/student/table.py", *CODE,
           evaluated("student", 2)),
    Change("what is exported", "student", TINY, "student:\n  label", "student:\n  export: ce\n  label", {}),
    # Tri-model.
    Change("one of three", "trimodel", TINY, "both: {}", "both: {temperature: 2}", trained("trimodel", 1)),
    Change("loss of three", "trimodel", "vidkd/methods/trimodel/loss.py", *CODE, trained("trimodel", 2)),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=[change.name for change in CHANGES])
def test_plan_after_a_change(tiny, change):
    with tiny.project.restored(change.file):
        tiny.project.replace(change.file, change.old, change.new)
        assert tiny.project.plan(TARGETS.get(change.target, change.target)) == change.plan


def test_nothing_runs_once_everything_is_as_it_was(tiny):
    assert tiny.project.plan() == {}


@pytest.mark.parametrize(
    ("old", "new", "first"),
    [
        ("short_side: 56", "short_side: 52", "extract_frames"),
        ("train: 48, val", "train: 49, val", "list_videos"),
    ],
)
def test_what_all_is_made_of_makes_all_again(tiny, old, new, first):
    """Frames, or the videos themselves."""
    with tiny.project.restored(TINY):
        tiny.project.replace(TINY, old, new)
        plan = tiny.project.plan(TARGETS["ffn"])
    assert first in plan
    assert plan.items() >= {"extract_frames": 6, **trained("ffn", 4, 5)}.items()


def made(project, stores, *more):
    """Times and digests of `stores`, made for real: a dry run knows no listing yet."""
    done = project.snakemake(*stores, "--cores", "2", "--configfile", TINY, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    files = [project.root / store for store in stores]
    return [(file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]


def test_an_added_video_extracts_its_shard_only(project):
    stores = [f"results/tiny/frames/{split}/shard_{k}.h5" for split in ("train", "val") for k in (0, 1)]
    before = made(project, stores)
    project.replace(TINY, "demo: {train: 48", "demo: {train: 49")
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
    assert ran.isdisjoint({"probe_videos", "extract_frames", "cache_features", "train", "predict"})


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (TINY, "frames: 16, low", "frames: 16, crf: 40, low"),
        ("vidkd/data/demo_drawing.py", "382.5", "372.5"),
    ],
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
