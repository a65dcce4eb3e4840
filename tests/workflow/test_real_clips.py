"""The real clips through the workflow: `folder` adapter, frames, a trained FFN, the broken ones listed."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys

import av
import numpy as np
import pytest
from PIL import Image

from tests.data.videos import CLIPS, needs_clips
from tests.workflow.conftest import Project, copy_project
from vidkd.config.data import DataSettings, FrameSettings
from vidkd.data.adapters.registry import write_listing
from vidkd.data.excluded import join_excluded
from vidkd.data.extract import extract_shard
from vidkd.data.frames import FrameStore
from vidkd.data.manifest import build_manifest
from vidkd.data.probe import probe_shard
from vidkd.errors import UserError
from vidkd.paths import Paths

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clips")]

PATHS = Paths("results/clips")
STORES = [
    PATHS.frames.format(split=split, shard=shard) for split in ("train", "val", "test") for shard in (0, 1)
]
WEIGHTS = PATHS.run("ffn", "ffn", 0).weights
CONFIG = """\
results_dir: results/clips
data: {adapter: folder, root: videos, n_shards: 2, max_excluded: 0.3}
frames: {per_video: 16, short_side: 64, encoding: raw}
ffn:
  base:
    arch: resnet_tiny
    epochs: 1
    batch_size: 4
    optimizer: adamw
    size: 48
    crop_scales: [0.857]
    frame_counts: [4, 8]
  variants: {ffn: {}}
  predict: {max_count: 8, score_counts: [4, 8]}
  tfd: {report_counts: [4, 8], separate: {}}
compute: {gpus: 0, mem_mb: 2000, runtime: 10}
"""
# The class is the folder of the clip; a broken one is listed as one of the class `action`.
SPLITS = {
    "val": ["action/dc_pancake.mkv", "other/odd_size.mp4"],
    "test": ["action/mm_test.avi", "other/dc_video_90.mov", "other/tc_av1_video.mkv"],
}
REASONS = {
    "audio_only.mp4": "no_video",
    "dc_corrupted.mp4": "decode_error",
    "empty.mp4": "empty",
    "text.mp4": "unreadable",
    "trunc.mp4": "truncated",
}


def counts_of_the_readme():
    """How many frames of each clip decode, by the table beside the clips."""
    found = {}
    table = (CLIPS / "README.md").read_text()
    for names, counts in re.findall(r"^\| (`(?!broken).+?`) \| .+? \| ([\d, ;]+) \| ", table, re.MULTILINE):
        clips, numbers = re.findall(r"`([\w/.]+)`", names), re.findall(r"\d+", counts)
        found |= dict(zip(clips, map(int, numbers), strict=True))
    return found


def place(clip):
    """Where a clip lies below `videos`."""
    folder, _, name = clip.partition("/")
    split = next((split for split, clips in SPLITS.items() if clip in clips), "train")
    return f"{split}/{'action' if folder == 'broken' else folder}/{name}"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """The results of Snakemake up to a trained network."""
    project = copy_project(tmp_path_factory.mktemp("clips"))
    for clip in [*counts_of_the_readme(), *(f"broken/{name}" for name in REASONS)]:
        target = project.root / "videos" / place(clip)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CLIPS / clip, target)
    (project.root / "clips.yaml").write_text(CONFIG)
    targets = [WEIGHTS, PATHS.excluded, *STORES]
    done = project.snakemake(*targets, "--cores", "1", "--configfile", "clips.yaml")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return project


def rows(project, name):
    with (project.root / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


@needs_clips
class TestRealClips:
    def test_the_table_beside_the_clips_is_understood(self):
        assert len(counts_of_the_readme()) == 13

    def test_every_clip_that_decodes_is_in_a_store_with_its_own_frames(self, project):
        store = FrameStore([project.root / file for file in STORES])
        expected = {place(clip): number for clip, number in counts_of_the_readme().items()}
        manifest = {row["path"]: row for row in rows(project, PATHS.manifest)}
        usable = {path: int(manifest[path]["frames"]) for path in expected}
        assert usable == expected
        assert sorted(store.video_ids) == sorted(manifest[path]["video_id"] for path in expected)

    def test_the_broken_ones_are_listed_with_a_reason_each(self, project):
        excluded = rows(project, PATHS.excluded)
        assert list(excluded[0]) == ["video_id", "path", "reason", "detail"]
        assert {row["path"].rpartition("/")[2]: row["reason"] for row in excluded} == REASONS
        assert all(row["detail"] for row in excluded)

    def test_the_network_was_trained(self, project):
        assert (project.root / WEIGHTS).stat().st_size > 1_000_000
        (epoch,) = rows(project, PATHS.run("ffn", "ffn", 0).history)
        assert {name for name in epoch if "loss" in name}

    def test_two_batches_to_try_it(self, project):
        stores = {split: project.root / PATHS.root / f"frames/{split}" for split in ("train", "val")}
        words = [f"--frame-stores={split}={folder}" for split, folder in stores.items()]
        words += [f"--class-names={PATHS.classes}", "--run-dir=tried", "--test-run", "--arch=resnet_tiny"]
        words += ["--size=48", "--batch-size=4", "--num-frames-h=8", "--num-frames-m=4", "--num-frames-l=2"]
        command = [sys.executable, "-m", "workflow_scripts.train", "ffn", *words]
        done = subprocess.run(
            command, cwd=project.root, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        assert (project.root / "tried/model.safetensors").exists()

    def test_the_turned_clip_is_stored_upright(self, project):
        """The reference is the picture turned clockwise, and FFmpeg's own program where there is one."""
        path = CLIPS / "other/dc_video_90.mov"
        with av.open(str(path)) as container:
            wanted = np.rot90(next(container.decode(video=0)).to_ndarray(format="rgb24"), -1)
        if shutil.which("ffmpeg"):
            command = [
                "ffmpeg",
                "-v",
                "error",
                "-i",
                path,
                "-frames:v",
                "1",
                "-pix_fmt",
                "rgb24",
                "-f",
                "rawvideo",
                "-",
            ]
            shown = subprocess.run(command, capture_output=True, check=True).stdout
            shown = np.frombuffer(shown, np.uint8).reshape(wanted.shape)
            assert np.abs(shown.astype(int) - wanted).mean() < 3
        store = FrameStore([project.root / file for file in STORES])
        (clip,) = [number for number, name in enumerate(store.video_ids) if "dc_video_90" in name]
        frame = store.clip(clip, [0])[0]
        assert frame.shape == (114, 64, 3)
        small = np.asarray(Image.fromarray(wanted).resize((64, 114), Image.Resampling.BILINEAR))
        assert np.abs(frame.astype(int) - small).mean() < 3
        assert np.abs(frame.astype(int) - small[::-1, ::-1]).mean() > 10

    def test_the_report_says_what_was_left_out(self, project):
        log = (project.root / PATHS.log("check_frames")).read_text()
        assert (
            "13 videos usable, 5 excluded (1 decode_error, 1 empty, 1 no_video, 1 truncated, 1 unreadable)"
            in log
        )


@needs_clips
def test_the_folder_as_it_is_has_a_class_of_broken_videos_and_is_refused(tmp_path):
    """First for the share of broken ones, and where that is allowed, for the class that has no other."""
    probes, classes, manifest = tmp_path / "probe", tmp_path / "classes.json", tmp_path / "manifest.csv"
    strict = DataSettings(adapter="folder", n_shards=1)
    listed = write_listing(strict, CLIPS, CLIPS, tmp_path / "videos", classes)
    assert listed == "11 train, 3 val, 4 test videos of 3 classes"
    probe_shard(tmp_path / "videos/shard_0.csv", classes, 0, CLIPS, probes / "shard_0.csv")
    with pytest.raises(
        UserError, match=r"^4 of 18 videos cannot be used .*, above data\.max_excluded = 0\.01"
    ):
        build_manifest(probes, classes, manifest, strict)
    lenient = strict.model_copy(update={"max_excluded": 0.3})
    assert build_manifest(probes, classes, manifest, lenient).excluded == 4
    frames = FrameSettings(per_video=4, short_side=64)
    for split in ("train", "val", "test"):
        store = tmp_path / f"frames/{split}/shard_0.h5"
        store.parent.mkdir(parents=True)
        extract_shard(probes / "shard_0.csv", split, CLIPS, store, frames)
    with pytest.raises(
        UserError, match="no usable training video, such as broken: mend their videos or leave"
    ):
        join_excluded(manifest, probes, tmp_path / "frames", classes, tmp_path / "excluded.csv", lenient)
