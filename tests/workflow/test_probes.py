"""Heads through Snakemake: what is made, and what a change makes anew."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import pandas as pd
import pytest

from tests.backbones.checkpoints import MAKERS
from tests.workflow.conftest import TINY, copy_project, job_counts
from vidkd.data.tables import read_classes, read_rows
from vidkd.features.store import FeatureStore
from vidkd.paths import Paths, sidecar

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("probes")]

CONFIG = """
results_dir: results/tiny
data: {adapter: demo, n_shards: 1}
demo: {train: 72, val: 24, test: 24, frames: 8}
frames: {per_video: 8, short_side: 56, encoding: raw}
backbones:
  image: {kind: timm, folder: weights/timm, frames: 4}
  video: {kind: videomae, folder: weights/videomae}
probes:
  labels: [motion, shape]
  attentive: {epochs: 2, head_width: 8}
  evaluate: {pairs: {move_left: move_right}}
ffn: {variants: {}}
compute: {gpus: 0, mem_mb: 2000, runtime: 10}
"""
PATHS = Paths("results/tiny")
TABLE = PATHS.probe_table
RUNS = [
    {"backbone": backbone, "head": head, "label": label, "seed": 0}
    for backbone in ("image", "video")
    for head in ("linear", "attentive")
    for label in ("motion", "shape")
]


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    """Two backbones of random weights, and every head on them."""
    project = copy_project(tmp_path_factory.mktemp("probes"))
    for kind in ("timm", "videomae"):
        MAKERS[kind](project.root / "weights" / kind)
    (project.root / TINY).write_text(CONFIG)
    done = project.snakemake(TABLE, "--cores", "2", "--configfile", TINY)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return project


def test_the_table_has_a_row_for_each_head(probed):
    table = pd.read_csv(probed.root / TABLE)
    found = table[["backbone", "head", "label"]].to_dict("records")
    wanted = [{name: run[name] for name in found[0]} for run in RUNS]
    assert sorted(map(str, found)) == sorted(map(str, wanted))
    assert (table["seeds"] == 1).all()
    assert table.set_index("label")["classes"].to_dict() == {"motion": 12, "shape": 6}
    assert table["pairs"].notna().tolist() == (table["label"] == "motion").tolist()


@pytest.mark.parametrize("run", RUNS, ids=lambda run: "{backbone}.{head}.{label}".format(**run))
def test_every_file_says_what_made_it(probed, run):
    for name in ("weights", "config", "history", "predictions", "metrics"):
        file = getattr(PATHS.probes, name).format(**run)
        record = json.loads((probed.root / sidecar(file)).read_text())
        assert record["artefact"]["bytes"] == (probed.root / file).stat().st_size > 0
        assert len(record["code"]) == 64
    record = json.loads((probed.root / sidecar(PATHS.probes.weights.format(**run))).read_text())
    features = [name for name in record["inputs"] if "/features/" in name]
    assert len(features) == 3
    assert all(f"/{run['backbone']}/" in name for name in features)
    assert (record["head"], record["label"], record["seed"]) == (run["head"], run["label"], 0)


def test_labels_are_those_of_the_videos(probed):
    """The attribute that the demo wrote down, by video, through listing, fit and prediction."""
    wanted = {
        row["path"].removesuffix(".mp4"): row["shape"]
        for row in pd.read_csv(probed.root / PATHS.demo_annotations.format(split="test")).to_dict("records")
    }
    run = {"backbone": "image", "head": "linear", "label": "shape", "seed": 0}
    table = pd.read_csv(probed.root / PATHS.probes.predictions.format(**run))
    classes = read_classes(probed.root / PATHS.label_classes.format(label="shape"))
    found = dict(zip(table["video_id"], (classes[label] for label in table["label_id"]), strict=True))
    assert found == wanted
    rows = read_rows(probed.root / PATHS.labels.format(label="shape"))
    assert len(rows) == 72 + 24 + 24


def test_the_own_label_is_that_of_the_features(probed):
    files = [probed.root / PATHS.features.format(backbone="video", split="test", shard=0)]
    store = FeatureStore(files)
    run = {"backbone": "video", "head": "attentive", "label": "motion", "seed": 0}
    table = pd.read_csv(probed.root / PATHS.probes.predictions.format(**run)).set_index("video_id")
    assert table["label_id"].to_dict() == dict(zip(store.video_ids, store.label_ids.tolist(), strict=True))


class Change(NamedTuple):
    """A change of a file, the jobs that it asks for, and which heads are fitted."""

    name: str
    file: str
    old: str
    new: str
    plan: dict[str, int]
    fitted: str


def fits(number: int, **others: int) -> dict[str, int]:
    return {**others, "fit_probe": number, "evaluate_probe": number, "tabulate_probes": 1}


HEADS = "vidkd/methods/probes"
CODE = ("\ndef ", "\nCHANGED = 1\n\n\ndef ")
TABLE_ONLY = {"tabulate_probes": 1}
FIGURES = {"evaluate_probe": 8, **TABLE_ONLY}
EVERY = r"\w+\.\w+\.\w+"
CHANGES = [
    Change("setting of a head", TINY, "epochs: 2", "epochs: 3", fits(4), r"\w+\.attentive\.\w+"),
    Change("of the other", TINY, "evaluate:", "linear: {l2: [1]}\n  evaluate:", fits(4), r"\w+\.linear\.\w+"),
    Change("default written out", TINY, "epochs: 2", "epochs: 2, lr: 1e-3", {}, ""),
    Change("code of a head", f"{HEADS}/linear.py", *CODE, fits(4), r"\w+\.linear\.\w+"),
    Change("code of the other", f"{HEADS}/train.py", *CODE, fits(4), r"\w+\.attentive\.\w+"),
    Change("code of both", f"{HEADS}/rows.py", *CODE, fits(8), EVERY),
    Change("comment", f"{HEADS}/rows.py", "\ndef ", "\n# why\ndef ", {}, ""),
    Change("code of the figures", "vidkd/evaluate/probes.py", *CODE, FIGURES, ""),
    Change("setting of the figures", TINY, "move_left: move_right", "move_up: move_down", FIGURES, ""),
    Change("another seed", TINY, "probes:", "seeds: [0, 1]\nprobes:", fits(4), r"\w+\.attentive\.\w+"),
    Change(
        "another label", TINY, "[motion, shape]", "[motion, shape, colour]",
        fits(4, list_labels=1), r"\w+\.\w+\.colour",
    ),
    Change("one label less", TINY, "[motion, shape]", "[shape]", TABLE_ONLY, ""),
    Change(
        "setting of a backbone", TINY, "frames: 4}", "frames: 8}",
        fits(4, cache_features=3), r"image\.\w+\.\w+",
    ),
    Change("order of labels", TINY, "[motion, shape]", "[shape, motion]", {}, ""),
    Change("code of FFN", "vidkd/methods/ffn/loss.py", "lambda_kl * kl", "2 * lambda_kl * kl", {}, ""),
    Change("machine", TINY, "mem_mb: 2000", "mem_mb: 3000", {}, ""),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=[change.name for change in CHANGES])
def test_plan_after_a_change(probed, change):
    with probed.restored(change.file):
        probed.replace(change.file, change.old, change.new)
        done = probed.dry_run(TABLE, "--configfile", TINY)
        assert job_counts(done) == change.plan
        logs = re.findall(r"log: \S+/fit_probe/(\S+)\.seed\d+\.log", done.stdout)
        assert [name for name in logs if not re.fullmatch(change.fitted, name)] == []


def test_nothing_runs_once_everything_is_as_it_was(probed):
    assert probed.plan(TABLE) == {}


def test_a_whole_run_has_the_table_on_its_page_and_nothing_of_ffn(probed):
    done = probed.snakemake("--cores", "2", "--configfile", TINY)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    page = (probed.root / PATHS.report).read_text()
    assert 'data-table="probes"' in page
    assert 'data-table="tfd"' not in page
    assert not (probed.root / PATHS.tfd).parent.exists()
    assert probed.plan() == {}


def test_without_backbones_there_are_no_heads(project):
    plan = project.plan()
    assert plan["build_report"] == 1
    assert not {"fit_probe", "list_labels", "tabulate_probes"} & set(plan)


def test_a_label_that_there_is_not_is_named(probed):
    labels = 'probes={"labels": ["weight"]}'
    done = probed.snakemake(TABLE, "--cores", "1", "--configfile", TINY, "--config", labels)
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert "has no column 'weight': check data.label and probes.labels" in text
    assert "Traceback" not in text
