"""Features through Snakemake: made from a folder of weights, and made anew only by what decides them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import h5py
import pytest
import torch

from tests.backbones.checkpoints import MAKERS, SIZE, settings_of
from tests.workflow.conftest import OF_FFN, TINY, copy_project, job_counts, keep_sections
from vidkd.artefacts import file_sha256
from vidkd.backbones.registry import load_backbone
from vidkd.config.clips import ClipSettings
from vidkd.data.clips import EvaluationClips
from vidkd.data.frames import FrameStore
from vidkd.features.store import FeatureStore
from vidkd.paths import Paths, sidecar

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("features")]

BACKBONES = """
backbones:
  image: {kind: timm, folder: weights/timm, frames: 4}
  video: {kind: videomae, folder: weights/videomae, fp16: true}
"""
PATHS = Paths("results/tiny")
TARGETS = [
    PATHS.features.format(backbone=name, split="test", shard=shard)
    for name in ("image", "video")
    for shard in (0, 1)
]
OTHER_SPLITS = [
    (name, split, shard) for name in ("image", "video") for split in ("train", "val") for shard in (0, 1)
]


@pytest.fixture(scope="module")
def featured(tmp_path_factory):
    """The tiny configuration with two backbones, whose features of the test split are cached."""
    project = copy_project(tmp_path_factory.mktemp("features"))
    for kind in ("timm", "videomae"):
        MAKERS[kind](project.root / "weights" / kind)
    keep_sections(project, *OF_FFN)
    with (project.root / TINY).open("a") as config:
        config.write(BACKBONES)
    done = project.snakemake(*TARGETS, "--cores", "2", "--configfile", TINY)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return project


class Change(NamedTuple):
    """A change of a file, the jobs that it asks for, and of which backbones the features are."""

    name: str
    file: str
    old: str
    new: str
    plan: dict[str, int]
    backbones: set[str]


TWO = {"cache_features": 2}
FRAMES = {"extract_frames": 2, "cache_features": 4}
CODE = ("\ndef ", "\nCHANGED = 1\n\n\ndef ")
CHANGES = [
    Change("setting of one", TINY, "frames: 4}", "frames: 8}", TWO, {"image"}),
    Change("default written out", TINY, "frames: 4}", "frames: 4, tokens: time}", {}, set()),
    Change("its precision on disk", TINY, "fp16: true", "fp16: false", TWO, {"video"}),
    Change("its configuration", "weights/timm/config.json", "{", "{ ", TWO, {"image"}),
    Change("decoder", TINY, "raw}", "raw, decoder: torchcodec}", FRAMES, {"image", "video"}),
    Change("views of one", TINY, "frames: 4}", "frames: 4, views: 2}", TWO, {"image"}),
    Change("code of its kind", "vidkd/backbones/videomae.py", *CODE, TWO, {"video"}),
    Change("code of all", "vidkd/backbones/extract.py", *CODE, {"cache_features": 4}, {"image", "video"}),
    Change("comment", "vidkd/backbones/extract.py", "\ndef ", "\n# why\ndef ", {}, set()),
    Change("FFN", TINY, "lr: 1.5e-3", "lr: 1.6e-3", {}, set()),
    Change("code of FFN", "vidkd/methods/ffn/loss.py", "lambda_kl * kl", "2 * lambda_kl * kl", {}, set()),
    Change("machine", TINY, "gpus: 0", "gpus: 0, batch: 2, workers: 1", {}, set()),
    Change("a third one", TINY, "  image:", "  more: {folder: weights/more}\n  image:", {}, set()),
    Change("frames", TINY, "short_side: 56", "short_side: 52", FRAMES, {"image", "video"}),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=[change.name for change in CHANGES])
def test_plan_after_a_change(featured, change):
    with featured.restored(change.file):
        featured.replace(change.file, change.old, change.new)
        assert planned(featured) == (change.plan, change.backbones)


def planned(project) -> tuple[dict[str, int], set[str]]:
    """Jobs by rule, and the backbones that they are of."""
    done = project.dry_run(*TARGETS, "--configfile", TINY)
    return job_counts(done), set(re.findall(r"wildcards: backbone=(\w+),", done.stdout))


def test_nothing_runs_once_everything_is_as_it_was(featured):
    assert featured.plan(*TARGETS) == {}


def test_other_weights_make_the_features_of_their_backbone_anew(featured):
    (file,) = (featured.root / "weights/videomae").glob("*.safetensors")
    with featured.restored(str(file.relative_to(featured.root))):
        before = file.read_bytes()
        file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        assert planned(featured) == (TWO, {"video"})


def test_rows_are_what_the_network_makes_of_the_frames(featured):
    store = FeatureStore([featured.root / target for target in TARGETS[:2]])
    store.verify()
    frames = FrameStore([featured.root / PATHS.frames.format(split="test", shard=k) for k in (0, 1)])
    assert store.video_ids == frames.video_ids
    assert len(store) == 24
    assert store.label_ids.tolist() == frames.label_ids.tolist()
    network = load_backbone(settings_of("timm", featured.root / "weights/timm", frames=4))
    clips = EvaluationClips(frames, [4], ClipSettings(size=SIZE, eval_crop=1))
    for row in (0, 13, 23):
        clip = clips[row].clip(4).contiguous()
        assert torch.equal(store.rows([row])[0], network(clip[None])[0].mean(1))


@pytest.mark.parametrize("target", TARGETS)
def test_each_shard_says_what_made_it(featured, target):
    record = json.loads((featured.root / sidecar(target)).read_text())
    frames = target.replace("features/image", "frames").replace("features/video", "frames")
    used = (
        ["weights/timm/config.json", "weights/timm/model.safetensors"]
        if "image" in target
        else [
            f"weights/videomae/{name}"
            for name in ("config.json", "model.safetensors", "preprocessor_config.json")
        ]
    )
    sums = {name: file_sha256(featured.root / name) for name in [frames, *used]}
    assert record["inputs"] == sums
    assert len(record["code"]) == 64
    assert FeatureStore([featured.root / target]).meta.backbone in target


def flip_a_byte(path):
    with h5py.File(path) as file:
        start = file["features"].id.get_offset()
    content = bytearray(path.read_bytes())
    content[start + 100] ^= 16
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-2000])


def lose(path):
    path.unlink()


def take_that_of_other_weights(path):
    """A shard of the other network in its place, as when folders are copied over each other."""
    shutil.copy(str(path).replace("image", "video"), path)


NOT_SOUND = {
    flip_a_byte: "features are damaged: {path}: 1 videos (",
    truncate: "{path} is not a whole feature store",
    lose: "feature store {path} is missing: run snakemake features, which makes only this one",
    take_that_of_other_weights: "{path} is not the file that {path}.provenance.json describes",
}


@pytest.mark.parametrize("harms", [(flip_a_byte, truncate), (take_that_of_other_weights, lose)])
def test_shards_that_are_not_sound_are_named_and_they_alone_are_made_anew(harms, featured):
    """The first of the two shards of each network; the second is left as it is."""
    paths = [featured.root / target for target in TARGETS]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}
    for harm, path in zip(harms, paths[::2], strict=True):
        harm(path)
    done = inspect(featured, *(target.rpartition("/")[0] for target in TARGETS[::2]))
    assert done.returncode == 1
    for harm, target in zip(harms, TARGETS[::2], strict=True):
        assert NOT_SOUND[harm].format(path=target) in done.stdout
    assert done.stdout.count("1 of 2 shards are sound") == 2
    for path in paths[::2]:
        path.unlink(missing_ok=True)
    assert featured.plan(*TARGETS) == TWO
    # Snakemake does not miss a file of which everything is made: the target of all features does.
    assert featured.plan("features")["cache_features"] == TWO["cache_features"] + len(OTHER_SPLITS)
    done = featured.snakemake(*TARGETS, "--cores", "1", "--configfile", TINY)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    assert [path.read_bytes() == before[path][0] for path in paths] == [True] * 4
    assert [path.stat().st_mtime_ns == before[path][1] for path in paths] == [False, True, False, True]
    assert inspect(featured, *TARGETS).returncode == 0


def test_everything_killed_in_the_middle_and_run_again_the_bytes_are_the_same(featured):
    """Snakemake and its job at once, as when a machine fails."""
    path = featured.root / TARGETS[2]
    before = path.read_bytes()
    path.unlink()
    words = [TARGETS[2], "--cores", "1", "--configfile", TINY]
    command = [sys.executable, "-m", "snakemake", *words]
    with subprocess.Popen(
        command,
        cwd=featured.root,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        until = time.monotonic() + 120
        while not list(path.parent.glob(f".{path.name}.*.tmp")):
            assert running.poll() is None
            assert time.monotonic() < until
            time.sleep(0.005)
        os.killpg(running.pid, signal.SIGKILL)
    assert featured.snakemake(*words, "--unlock").returncode == 0
    assert {file.suffix for file in path.parent.glob(f"*{path.name}*")} == {".tmp", ".json"}
    done = featured.snakemake(*words, "--rerun-incomplete")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".*"))


def inspect(project, *places):
    command = [sys.executable, "-m", "workflow_scripts.inspect_cache", *places]
    return subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)


def test_without_backbones_nothing_is_cached(ffn_alone):
    assert "cache_features" not in ffn_alone.plan()


def test_missing_weights_are_named_by_the_job(featured):
    target = PATHS.features.format(backbone="gone", split="test", shard=0)
    backbones = 'backbones={"gone": {"kind": "vivit", "folder": "weights/gone"}}'
    done = featured.snakemake(target, "--cores", "1", "--configfile", TINY, "--config", backbones)
    assert done.returncode != 0
    assert (
        "Error: backbone vivit, weights/gone: no such folder. Place the model's files there"
        in done.stdout + done.stderr
    )
    assert "Traceback" not in done.stdout + done.stderr
