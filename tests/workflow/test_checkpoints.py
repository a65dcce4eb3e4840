"""Checkpoints through Snakemake: trained for real, used as a folder, made anew only by what decides them."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import pytest

from tests.workflow.conftest import OF_FFN, TINY, copy_project, keep_sections
from vidkd.artefacts import file_sha256
from vidkd.features.store import FeatureStore
from vidkd.paths import Paths, sidecar

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("checkpoints")]

MORE = """
source: {train: 24, val: 12, frames: 16}
checkpoints:
  image: {kind: timm, epochs: 1, width: 25, frames: 1, size: 32, batch_size: 12}
  video: {kind: videomae, epochs: 1, layers: 1, size: 32, batch_size: 12}
backbones:
  image: {kind: timm, checkpoint: image}
  video: {kind: videomae, checkpoint: video}
"""
PATHS = Paths("results/tiny")
NAMES = ("image", "video")
TARGETS = [PATHS.features.format(backbone=name, split="test", shard=0) for name in NAMES]
ONE = {"train_checkpoint": 1, "cache_features": 1}
BOTH = {"train_checkpoint": 2, "cache_features": 2}
LISTED = {"list_videos": 1, "probe_videos": 1, "extract_frames": 1, "cache_features": 2}
SOURCE = {"generate_source": 1, "list_source": 1, "probe_source": 2, "extract_source": 4, **BOTH}
CODE = ("\ndef ", "\nCHANGED = 1\n\n\ndef ")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The tiny configuration with two checkpoints, and features of the test split by them."""
    project = copy_project(tmp_path_factory.mktemp("checkpoints"))
    keep_sections(project, *OF_FFN)
    with (project.root / TINY).open("a") as config:
        config.write(MORE)
    done = project.snakemake(*TARGETS, "--cores", "2", "--configfile", TINY)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return project


class Change(NamedTuple):
    """A change of a file, and the jobs that it asks for."""

    name: str
    file: str
    old: str
    new: str
    plan: dict[str, int]


CHANGES = [
    Change("one network", TINY, "width: 25", "width: 30", ONE),
    Change("one training", TINY, "layers: 1, size", "lr: 1.0e-3, layers: 1, size", ONE),
    Change("default written out", TINY, "width: 25", "width: 25, heads: 4", {}),
    Change("a third one", TINY, "checkpoints:\n", "checkpoints:\n  more: {}\n", {}),
    Change("code of one", "vidkd/backbones/pretrain/videomae.py", *CODE, ONE),
    Change("code of another kind", "vidkd/backbones/vivit.py", *CODE, {}),
    Change("code of downloads", "vidkd/backbones/fetch.py", *CODE, {}),
    Change("captions", "vidkd/backbones/pretrain/captions.py", *CODE, BOTH),
    Change("comment", "vidkd/backbones/pretrain/train.py", "\ndef ", "\n# why\ndef ", {}),
    Change("FFN", TINY, "lr: 1.5e-3", "lr: 1.6e-3", {}),
    Change("machine", TINY, "gpus: 0", "gpus: 0, workers: 1", {}),
    Change("the demo's own videos", TINY, "train: 48", "train: 49", {"generate_demo": 1, **LISTED}),
    Change("source", TINY, "{train: 24", "{train: 25", SOURCE),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=[change.name for change in CHANGES])
def test_plan_after_a_change(made, change):
    with made.restored(change.file):
        made.replace(change.file, change.old, change.new)
        assert made.plan(*TARGETS) == change.plan


def test_nothing_runs_once_everything_is_as_it_was(made):
    assert made.plan(*TARGETS) == {}


@pytest.mark.parametrize(("name", "target"), list(zip(NAMES, TARGETS, strict=True)))
def test_features_are_of_the_trained_network(made, name, target):
    (weights,) = (made.root / PATHS.checkpoint_network.format(checkpoint=name)).glob("*.safetensors")
    assert FeatureStore([made.root / target]).meta.weights_sha256 == file_sha256(weights)
    record = json.loads((made.root / sidecar(target)).read_text())
    assert str(weights.relative_to(made.root)) in record["inputs"]


@pytest.mark.parametrize("name", NAMES)
def test_every_file_says_what_made_it(made, name):
    folder = made.root / PATHS.checkpoint.format(checkpoint=name)
    files = (folder / "network").glob("[!.]*")  # Snakemake keeps a time there
    network = [file for file in files if not file.name.endswith(".provenance.json")]
    assert "config.json" in {file.name for file in network}
    for file in (folder / "metrics.json", folder / "history.csv", *network):
        record = json.loads((made.root / sidecar(str(file))).read_text())
        assert record["seed"] == 0
        assert record["settings"]["epochs"] == 1
        assert len(record["inputs"]) == 7
    assert json.loads((folder / "metrics.json").read_text())["best_epoch"] == 1


def test_the_demo_plans_a_checkpoint_for_each_kind(project):
    targets = [
        Paths("results").features.format(backbone=name, split="test", shard=0)
        for name in ("clip", "mobilevit", "videomae", "timesformer", "vivit", "vjepa2")
    ]
    shown = project.dry_run(*targets).stdout
    assert set(re.findall(r"wildcards: checkpoint=(\w+)", shown)) == {
        "clip", "mobilevit", "videomae", "timesformer", "vivit", "vjepa2",
    }  # fmt: skip
    assert len(re.findall(r"^rule train_checkpoint:", shown, re.MULTILINE)) == 6


def test_weights_that_are_trained_here_are_not_downloaded(made):
    done = made.dry_run("download_weights", "--configfile", TINY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "checkpoints/" not in done.stdout
