"""Whole runs on the same videos as files, as folders of images, and without a copy of their frames."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import PIL.Image
import pytest

from tests.workflow.conftest import Project, copy_project
from vidkd.config.data import SPLITS, DemoSettings
from vidkd.data.demo import generate_split
from vidkd.paths import Paths
from vidkd.video.decode import decode_frames

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sources")]

DEMO = DemoSettings(train=12, val=2, test=2, frames=20, size=56)
CONFIG = """\
results_dir: {results}
data: {{adapter: folder, root: {root}, n_shards: 1}}
frames: {{per_video: 8, short_side: 48, encoding: {encoding}}}
ffn:
  base:
    arch: resnet_tiny
    epochs: 1
    batch_size: 4
    optimizer: adamw
    size: 32
    frame_counts: [4]
    weight_alteration: false
  variants: {{st4: {{}}}}
  predict: {{max_count: 4, score_counts: [4]}}
  tfd: {{report_counts: [4], separate: {{4: st4}}}}
compute: {{gpus: 0, mem_mb: 2000, runtime: 10, workers: {workers}}}
"""
RUNS = {"files": ("videos", "raw", 0), "images": ("images", "raw", 0), "none": ("videos", "none", 1)}


def write_data(folder: Path) -> None:
    """`videos/{split}/{class}/x.mp4`, and in `images` the same with a folder of PNG images for each video."""
    for split in SPLITS:
        generate_split(DEMO, split, folder / "demo" / split, folder / f"demo/{split}.csv")
        with (folder / f"demo/{split}.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        for row in rows:
            video = folder / "demo" / row["path"]
            place = f"{split}/{row['motion']}/{video.stem}"
            frames, _ = decode_frames(video, range(DEMO.frames))
            (folder / "images" / place).mkdir(parents=True)
            for number, frame in enumerate(frames):
                PIL.Image.fromarray(frame).save(folder / "images" / place / f"{number:03}.png")
            (folder / "videos" / place).parent.mkdir(parents=True, exist_ok=True)
            video.rename(folder / f"videos/{place}.mp4")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """A project in which all three runs are done."""
    project = copy_project(tmp_path_factory.mktemp("sources"))
    write_data(project.root)
    for name, (root, encoding, workers) in RUNS.items():
        config = f"config/{name}.yaml"
        text = CONFIG.format(results=f"results/{name}", root=root, encoding=encoding, workers=workers)
        (project.root / config).write_text(text)
        target = Paths(f"results/{name}").run("ffn", "st4", 0).predictions
        done = project.snakemake(target, "--cores", "1", "--configfile", config)
        assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return project


@pytest.mark.parametrize("name", ["images", "none"])
def test_the_network_is_the_same_from_every_source(project, name):
    files, other = (Paths(f"results/{of}").run("ffn", "st4", 0) for of in ("files", name))
    for pattern in ("weights", "history", "predictions"):
        first, second = (getattr(p, pattern) for p in (files, other))
        assert (project.root / first).read_bytes() == (project.root / second).read_bytes()


def test_the_stores_hold_what_they_say(project):
    def opened(name):
        return h5py.File(project.root / Paths(f"results/{name}").frames.format(split="train", shard=0))

    with opened("files") as files, opened("images") as images, opened("none") as none:
        np.testing.assert_array_equal(files["data"][:], images["data"][:])
        assert np.isnan(images["timestamp"][:]).all()
        assert "data" not in none
        np.testing.assert_array_equal(none["crc32"][:], files["crc32"][:])
        paths = none["path"].asstr()[:].tolist()
        assert all(path.startswith("videos/train/") and (project.root / path).is_file() for path in paths)


def test_a_video_replaced_since_is_named_and_nothing_is_predicted(project):
    video = next((project.root / "videos/test").glob("*/*.mp4"))
    content, predictions = (
        video.read_bytes(),
        Paths("results/none").run("ffn", "st4", 0).predictions,
    )
    before = (project.root / predictions).read_bytes()
    try:
        video.write_bytes(next((project.root / "videos/train").glob("*/*.mp4")).read_bytes())
        command = (predictions, "--cores", "1", "--configfile", "config/none.yaml")
        done = project.snakemake(*command, "--force")
    finally:
        video.write_bytes(content)
    assert done.returncode != 0
    log = (project.root / "results/none/logs/predict/ffn.st4.seed0.log").read_text()
    assert f"{video.relative_to(project.root)} no longer gives the frames it gave when" in log
    assert "Traceback" not in log
    assert not (project.root / predictions).exists()
    assert project.snakemake(*command).returncode == 0
    assert (project.root / predictions).read_bytes() == before
