"""Batches: the same bytes from any number of workers, after any resume, from any source of frames."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.conftest import CLASSES
from tests.data.test_frames import extract, probed
from tests.road import train_run
from vidkd.config.data import DemoSettings, FrameSettings
from vidkd.data.clips import (
    ClipBatches,
    ClipLoader,
    Sample,
    TrainingClips,
    _leave_group,
    clip_loader,
    collate,
    evaluation_loader,
)
from vidkd.data.demo import generate_split
from vidkd.data.demo_specs import FLIP_LABELS
from vidkd.data.frames import FrameStore
from vidkd.engine.runtime import explain_oom
from vidkd.errors import UserError
from vidkd.methods.needs import Needs

DEMO = DemoSettings(train=20, val=20, test=20, frames=20, size=48)
FRAMES = FrameSettings(per_video=16, short_side=40, encoding="raw")
EVERYTHING = {
    "flip": "plain",
    "rotation": 10,
    "brightness": 0.3,
    "contrast": 0.3,
    "saturation": 0.3,
    "hue": 0.1,
    "crop": "random_resized",
    "crop_area": (0.5, 1.0),
}
CROPS_AND_SWAPS = {"crop_scales": (1.0, 0.875, 0.75, 0.66), "flip": "swap", "flip_labels": FLIP_LABELS}


@dataclass(frozen=True)
class Videos:
    """Twenty encoded demo videos, and their frame stores by encoding."""

    root: Path
    stores: dict[str, Path]


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Videos:
    folder = tmp_path_factory.mktemp("demo")
    generate_split(DEMO, "train", folder / "videos/train", folder / "train.csv")
    rows = [
        probed(f"train/{path.name}", path.stem, DEMO.frames, label_id=number % len(CLASSES))
        for number, path in enumerate(sorted((folder / "videos/train").glob("*.mp4")))
    ]
    stores = {}
    for encoding in ("raw", "jpeg", "none"):
        settings = FRAMES.model_copy(update={"encoding": encoding})
        stores[encoding] = extract(folder / encoding, folder / "videos", rows, settings)[1]
    return Videos(folder / "videos", stores)


def digests(videos, settings, workers, epoch=1, start=0, encoding="raw"):
    """A digest of every byte of each batch."""
    clips = TrainingClips(FrameStore([videos.stores[encoding]]), CLASSES, (4, 8, 16), settings, seed=7)
    data = ClipBatches(clips, batch_size=6, seed=7, workers=workers)
    found = []
    for batch in data.batches(epoch, start):
        parts = [*batch.clips.values(), batch.label, batch.row]
        found.append(hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest())
    return found


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")
@pytest.mark.parametrize("encoding", ["raw", "none"])
@pytest.mark.parametrize("sampling", ["segments", "sorted_random", "dense"])
def test_batches_are_the_same_from_any_number_of_workers(videos, small, sampling, encoding):
    settings = small.model_copy(update={**EVERYTHING, "frame_sampling": sampling})
    alone = digests(videos, settings, workers=0)
    assert len(set(alone)) == 3
    for workers in (1, 2, 4):
        assert digests(videos, settings, workers, encoding=encoding) == alone
    assert digests(videos, settings, 2, epoch=2, encoding=encoding) != alone


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")
def test_batches_of_jpeg_with_crops_and_swapped_labels_are_the_same_too(videos, small):
    settings = small.model_copy(update={**CROPS_AND_SWAPS, "crop": "multi_scale"})
    alone = digests(videos, settings, workers=0, encoding="jpeg")
    assert len(set(alone)) == 3
    for workers in (1, 2, 4):
        assert digests(videos, settings, workers, encoding="jpeg") == alone
    for other in (settings.model_copy(update={"flip": "none"}), settings.model_copy(update={"size": 24})):
        assert not set(digests(videos, other, 2, encoding="jpeg")) & set(alone)


@pytest.mark.parametrize("encoding", ["raw", "none"])
@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_goes_on_in_its_middle_with_the_same_bytes(videos, small, workers, encoding):
    settings = small.model_copy(update=EVERYTHING)
    whole = digests(videos, settings, 0)
    for start in (1, 2):
        assert digests(videos, settings, workers, start=start, encoding=encoding) == whole[start:]


def test_the_global_generators_are_left_alone(videos, small):
    before = torch.get_rng_state()
    digests(videos, small.model_copy(update=EVERYTHING), 0)
    digests(videos, small, 1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("seed", [0, 1])
def test_training_from_videos_ends_in_the_weights_of_training_from_frames(videos, small, tmp_path, seed):
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    settings = small.model_copy(update={**EVERYTHING, "epochs": 1})
    found = {}
    for encoding, workers in (("raw", 0), ("none", 0), ("none", 2)):
        store, run = videos.stores[encoding], tmp_path / f"{encoding}{workers}"
        frames = {"train": str(store), "val": str(store)}
        needs = Needs(frames=frames, classes=str(tmp_path / "classes.json"))
        train_run("ffn", settings, needs, run, seed=seed, workers=workers, max_batches=2)
        found[run.name] = (run / "model.safetensors").read_bytes()
    assert found["none0"] == found["none2"] == found["raw0"]


def test_frames_are_put_into_a_batch_in_order():
    torch.manual_seed(0)
    samples = [
        Sample(torch.randint(0, 256, (n, 5, 6, 3), dtype=torch.uint8).permute(0, 3, 1, 2), chosen, n, 10 * n)
        for n, chosen in [
            (3, {2: torch.tensor([0, 2]), 3: torch.tensor([1, 1, 2])}),
            (4, {2: torch.tensor([3, 3]), 3: torch.tensor([0, 1, 3])}),
        ]
    ]
    batch = collate(samples)
    for count in (2, 3):
        expected = torch.stack([sample.frames[sample.chosen[count]] for sample in samples])
        assert torch.equal(batch.clips[count], expected)
        assert batch.clips[count].is_contiguous()
        assert torch.equal(samples[1].clip(count), expected[1])
    assert (batch.label.tolist(), batch.row.tolist()) == ([3, 4], [30, 40])


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU's batches are copied to pinned memory")
def test_workers_write_where_the_job_reads(videos, small):
    """Memory of a worker that is not shared would be copied once more on its way."""
    store = FrameStore([videos.stores["raw"]])
    for workers, shared in ((0, False), (1, True)):
        for batch in evaluation_loader(store, (4,), small, 6, workers):
            assert batch.clips[4].is_shared() == shared


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_video_that_vanishes_in_training_ends_it_with_one_sentence(videos, small, tmp_path, workers):
    rows = [probed(path.name, path.stem, 20) for path in sorted((videos.root / "train").glob("*.mp4"))][:6]
    for row in rows:
        (tmp_path / row["path"]).write_bytes((videos.root / "train" / row["path"]).read_bytes())
    none = FRAMES.model_copy(update={"encoding": "none"})
    store = FrameStore([extract(tmp_path / "store", tmp_path, rows, none)[1]])
    loader = evaluation_loader(store, (4,), small, 2, workers)
    assert sum(len(batch.row) for batch in loader) == 6
    (tmp_path / rows[4]["path"]).unlink()
    with pytest.raises(UserError) as caught:
        list(loader)
    said = str(caught.value)
    assert said.startswith(str(tmp_path / rows[4]["path"]))
    assert said.endswith("or delete the store and run extract_frames again.")
    assert "Traceback" not in said
    assert not multiprocessing.active_children()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_for_a_gpu_are_pinned_and_the_same(videos, small, workers):
    clips = TrainingClips(FrameStore([videos.stores["raw"]]), CLASSES, (4, 8), small, seed=0)
    keys = [[(0, 1), (0, 2)], [(0, 3), (0, 4)]]
    for batch, wanted in zip(clip_loader(clips, workers, batch_sampler=keys), keys, strict=True):
        assert batch.clips[4].is_pinned()
        there = batch.to(torch.device("cuda"))
        for count in (4, 8):
            assert torch.equal(there.clips[count].cpu(), collate([clips[k] for k in wanted]).clips[count])


class CutOff:
    """What a worker sends as it is killed: to read it ends as its socket does then."""

    def __reduce__(self):
        return read_from_the_dead, ()


def read_from_the_dead():
    ours, theirs = socket.socketpair()
    ours.send(b"unread")
    theirs.close()
    return ours.recv(1)


def test_a_worker_that_is_cut_off_is_said_before_torch_sees_it():
    loader = ClipLoader([CutOff()], num_workers=1, collate_fn=list, worker_init_fn=_leave_group)
    with (
        pytest.raises(UserError, match="out of memory with batch_size 1") as raised,
        explain_oom("batch_size 1"),
    ):
        next(iter(loader))
    assert isinstance(raised.value.__cause__.__cause__, ConnectionResetError)


class Unreadable(torch.utils.data.Dataset):
    """Clips on a disk that is no longer there."""

    def __len__(self):
        return 1

    def __getitem__(self, _):
        raise ConnectionAbortedError(103, "stale mount")


@pytest.mark.parametrize("workers", [0, 1])
def test_what_reading_a_clip_raises_is_not_taken_for_a_killed_worker(workers):
    with pytest.raises(ConnectionAbortedError, match="stale mount"), explain_oom("one clip"):
        next(iter(ClipLoader(Unreadable(), num_workers=workers, worker_init_fn=_leave_group)))


@pytest.mark.slow
def test_workers_outlive_signals_to_the_group_from_their_first_moment():
    command = [sys.executable, "-m", "tests.data.many_loaders"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    while process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        time.sleep(0.002)
    assert process.stdout.read().split() == ["20", str(int(signal.SIGTERM))]
