"""Cached features: equal to computing them directly, whatever the batches; killed, cramped, empty."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.backbones.checkpoints import SIZE, edit_json, scramble, settings_of
from tests.conftest import FRAMES, write_store
from vidkd.backbones import extract
from vidkd.backbones.extract import cache_shard
from vidkd.backbones.network import Network, device_of
from vidkd.backbones.registry import load_backbone
from vidkd.data.frame_writer import StoredClip, frame_writer
from vidkd.data.frames import FrameStore
from vidkd.engine.logging import Waiting
from vidkd.errors import UserError
from vidkd.features.store import FeatureStore


@pytest.fixture
def cached(stores, tmp_path):
    """A function that caches the validation frames, and returns the file."""

    def cache(settings, frames=None, **how):
        output = tmp_path / f"{len(list(tmp_path.iterdir()))}.h5"
        cache_shard(frames or stores.val[0], "small", settings, output, **how)
        return output

    return cache


def read(*files: Path) -> torch.Tensor:
    store = FeatureStore(files)
    store.verify()
    return store.rows(range(len(store)))


def pixels(frames_h5: Path, row: int, count: int, side: int) -> torch.Tensor:
    """Frames (count, 3, SIZE, SIZE) at the middles of `count` segments: their middle square, resized."""
    with h5py.File(frames_h5) as file:
        offset, data, size = file["offset"][row], file["data"], file["size"][row]
        middles = [int((k + 0.5) * 16 / count) for k in range(count)]
        frames = np.stack([data[offset[t] : offset[t + 1]].reshape(*size, 3) for t in middles])
    edge = (48 - side) // 2
    frames = frames[:, edge : edge + side, edge : edge + side]
    clip_TCHW = torch.from_numpy(frames).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(clip_TCHW, (SIZE, SIZE), mode="bilinear", antialias=True)
    pillow = [np.asarray(Image.fromarray(f).resize((SIZE, SIZE), Image.Resampling.BILINEAR)) for f in frames]
    rounding = np.stack(pillow).astype(int) - resized.permute(0, 2, 3, 1).numpy()
    assert abs(rounding).max() <= 1
    return resized.contiguous()  # a convolution sums in another order otherwise


def test_rows_are_those_of_the_network_on_pixels_prepared_by_hand(kind, cached, made, stores):
    settings = settings_of(kind, made(kind).folder)
    rows = read(cached(settings))
    backbone = load_backbone(settings)
    side = round(48 * backbone.spec.crop)
    for row in (0, 7, 11):
        clip = pixels(stores.val[0], row, backbone.spec.frames, side)
        assert torch.equal(rows[row], backbone(clip[None])[0].mean(1))
    assert not torch.equal(rows[0], rows[7])


def test_rows_are_in_the_order_of_the_frames_with_their_labels(cached, made, stores):
    file = cached(settings_of("vivit", made("vivit").folder, tokens="full"))
    frames, store = FrameStore(stores.val), FeatureStore([file])
    assert store.video_ids == frames.video_ids
    assert store.label_ids.tolist() == frames.label_ids.tolist()
    assert store.shape == (4 * 16, 64)
    assert not store.padded.any()
    with h5py.File(file) as opened:
        assert opened["index"][3].tolist() == [1, 3, 5, 7, 9, 11, 13, 15]


def test_a_row_never_depends_on_batches_or_workers(kind, cached, made):
    settings = settings_of(kind, made(kind).folder)
    first = cached(settings, batch=1).read_bytes()
    for how in ({"batch": 5}, {"batch": 12}, {"batch": 64}, {"batch": 5, "workers": 2}):
        assert cached(settings, **how).read_bytes() == first, how


def test_a_row_never_depends_on_the_number_of_shards(cached, made, tmp_path):
    settings = settings_of("timm", made("timm").folder)
    frames = tmp_path / "frames"
    frames.mkdir()
    whole = write_store(frames / "whole.h5", "val", range(12))
    parts = [write_store(frames / f"{k}.h5", "val", range(4 * k, 4 * k + 4)) for k in range(3)]
    together = read(cached(settings, whole))
    assert torch.equal(together, read(*[cached(settings, part, batch=3) for part in parts]))


def test_a_batch_that_is_not_full_is_filled_up_on_a_gpu(made, stores):
    """The same code on a CPU, told to see the clips of a batch at once: each row as in a full batch."""
    settings = settings_of("timm", made("timm").folder)

    class AtOnce(Network):
        at_once = 5

    seen = []
    network = AtOnce(load_backbone(settings), settings, torch.device("cpu"), 5)
    network.backbone.register_forward_pre_hook(lambda _module, given: seen.append(len(given[0])))
    rows = list(network.rows(FrameStore(stores.val), range(12), 0, Waiting()))
    assert (len(rows), seen) == (12, [5, 5, 5])
    alone = list(Network(network.backbone, settings, torch.device("cpu"), 5).rows(
        FrameStore(stores.val), range(12), 0, Waiting()))  # fmt: skip
    torch.testing.assert_close(np.stack(rows), np.stack(alone), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("tokens", "shape"), [("full", (64, 64)), ("time", (4, 64)), ("clip", (1, 64))])
def test_float16_is_within_half_of_its_last_bit(tokens, shape, cached, made):
    settings = settings_of("videomae", made("videomae").folder, tokens=tokens)
    whole = read(cached(settings))
    half = read(cached(settings.model_copy(update={"fp16": True})))
    assert half.dtype == torch.float16
    assert half.shape[1:] == whole.shape[1:] == shape
    torch.testing.assert_close(half.float(), whole, rtol=2**-11, atol=2**-25)


def test_what_made_it_is_in_the_file(cached, made):
    settings = settings_of("clip", made("clip").folder, frames=4)
    meta = FeatureStore([cached(settings)]).meta
    assert (meta.backbone, meta.tokens, meta.frames, meta.dtype) == ("small", "time", 4, "float32")
    assert meta.weights_sha256 == load_backbone(settings).weights_sha256
    assert meta.decoder == "rendered, not decoded"
    assert meta.preprocessing["mean"] == [0.4, 0.5, 0.3]
    assert set(meta.versions) >= {"torch", "open_clip_torch"}
    other = FeatureStore([cached(settings_of("clip", made("clip").folder, frames=8))]).meta
    assert meta.differences(other) == ["frames"]


def test_a_video_too_short_for_the_clip_is_flagged(cached, made, tmp_path):
    frames = tmp_path / "short.h5"
    with frame_writer(frames, FRAMES, "rendered, not decoded") as writer:
        for video_id, total in (("a", 3), ("b", 12)):  # of 12 frames, a clip of 4 repeats none
            index = (np.arange(16) * total // 16).astype(np.int32)
            images = [np.full((48, 48, 3), 20 * i, np.uint8).tobytes() for i in index]
            writer.add(StoredClip(video_id, 0, index, index / 16.0, padded=True, size=(48, 48)), images)
    store = FeatureStore([cached(settings_of("clip", made("clip").folder, frames=4), frames)])
    assert store.padded.tolist() == [True, False]


def test_an_empty_shard_is_a_valid_file(cached, made, tmp_path):
    settings = settings_of("timm", made("timm").folder)
    empty = cached(settings, write_store(tmp_path / "empty.h5", "val", range(0)))
    assert len(FeatureStore([empty])) == 0
    full = cached(settings)
    assert torch.equal(read(empty, full), read(full))


def test_the_size_is_said_before_and_a_full_disk_refused(cached, made, monkeypatch, caplog, tmp_path):
    settings = settings_of("vivit", made("vivit").folder, tokens="full")
    usage = namedtuple("usage", "total used free")
    needed = 12 * 64 * 64 * 4
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(0, 0, needed - 1))
    with caplog.at_level(logging.INFO), pytest.raises(UserError, match=r"0\.2 MB do not fit on the disk"):
        cached(settings)
    assert "12 x 64 x 64 float32, 0.2 MB" in caplog.text
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(0, 0, needed))
    assert len(FeatureStore([cached(settings)])) == 12


def test_the_log_says_how_fast_it_was_and_how_long_it_waited(cached, made, caplog):
    settings = settings_of("timm", made("timm").folder, views=2)
    with caplog.at_level(logging.INFO):
        cached(settings)
    (found,) = re.findall(r"12 videos, ([\d.]+) clips/s, (\d+)% of the time waiting for clips", caplog.text)
    assert float(found[0]) > 0
    assert 0 < int(found[1]) < 100


@pytest.mark.parametrize(
    "problem",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_memory_that_is_out_names_the_knob(problem, cached, made, monkeypatch):
    def no_room(*_):
        raise problem

    settings = settings_of("vivit", made("vivit").folder)
    backbone = load_backbone(settings)
    monkeypatch.setattr(backbone, "encode", no_room)
    monkeypatch.setattr(extract, "load_backbone", lambda _: backbone)
    with pytest.raises(UserError, match="out of memory with --batch 6: lower it"):
        cached(settings, batch=6)


LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from vidkd.backbones.extract import cache_shard
from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
frames, folder, output, workers = sys.argv[1:]
settings = BackboneSettings(kind="timm", folder=folder)
load_backbone(settings)
lines = Path("/proc/self/status").read_text().splitlines()
(used,) = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmSize")]
resource.setrlimit(resource.RLIMIT_AS, (used + 200 * 2**20, used + 200 * 2**20))
cache_shard(Path(frames), "small", settings, Path(output), batch=12, workers=int(workers))
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_a_process_with_little_memory_names_the_knob(workers, copied, stores, tmp_path):
    """Clips of 512 pixels, 76 MB of uint8 a batch: the job has no room for them, or its worker has none."""
    folder = copied("timm")
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"]["input_size"] = [3, 512, 512]
    edit_json(folder / "config.json", pretrained_cfg=config["pretrained_cfg"])
    words = [str(stores.val[0]), str(folder), str(tmp_path / "out/x.h5"), str(workers)]
    command = [sys.executable, "-c", LITTLE_MEMORY, *words]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert "UserError: out of memory with --batch 12: lower it" in done.stderr
    assert not list((tmp_path / "out").iterdir())


def test_features_that_are_no_numbers_are_refused_by_video(cached, copied, tmp_path):
    """A network whose weights are numbers, but so large that no feature is."""
    folder = copied("vivit")
    weights = load_file(folder / "model.safetensors")
    weights["vivit.layernorm.weight"][0] = weights["vivit.layernorm.bias"][0] = 3.4e38
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        UserError, match=r"h5: features of video 'target_val_00000' are NaN or infinite: the weights or"
    ):
        cached(settings_of("vivit", folder))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"folder": "other"}, "other weights_sha256 than"),
        ({"frames": 2}, "other frames than"),
        ({"tokens": "clip"}, "other tokens than"),
        ({"views": 2}, "other preprocessing than"),
        ({"fp16": True}, "other dtype than"),
    ],
)
def test_a_shard_of_another_network_or_setting_is_named(change, words, cached, made, copied, tmp_path):
    settings = settings_of("timm", made("timm").folder, frames=4)
    parts = [write_store(tmp_path / f"frames_{k}.h5", "val", range(3 * k, 3 * k + 3)) for k in range(3)]
    if "folder" in change:
        scrambled = scramble(load_backbone(settings).network, seed=1)
        folder = copied("timm")
        weights = load_file(folder / "model.safetensors") | scrambled.state_dict()
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        change = {"folder": str(folder)}
    right = [cached(settings, parts[0]), cached(settings, parts[2])]
    wrong = cached(settings.model_copy(update=change), parts[1])
    with pytest.raises(UserError, match=rf"^{wrong}: made with {words} {right[0]}\. Delete what is not as"):
        FeatureStore([right[0], wrong, right[1]])
    assert len(FeatureStore(right)) == 6


def test_another_error_stays_what_it_is(cached, made, monkeypatch):
    settings = settings_of("vivit", made("vivit").folder)
    backbone = load_backbone(settings)
    monkeypatch.setattr(backbone, "encode", lambda _: torch.zeros(2) @ torch.zeros(3))
    monkeypatch.setattr(extract, "load_backbone", lambda _: backbone)
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        cached(settings)


def test_more_frames_than_are_stored_are_refused(cached, made):
    with pytest.raises(UserError, match="32 frames are asked of videos stored with 16"):
        cached(settings_of("clip", made("clip").folder, frames=32))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_half_precision_needs_a_gpu(cached, made):
    with pytest.raises(UserError, match="bf16 is for a GPU, and this job runs on cpu"):
        cached(settings_of("clip", made("clip").folder, precision="bf16"))


def start(frames: Path, output: Path, folder: Path) -> subprocess.Popen[bytes]:
    settings = json.dumps({"kind": "videomae", "folder": str(folder), "tokens": "full"})
    command = [
        sys.executable, "-m", "workflow_scripts.cache_features", "--backbone", "small", "--batch", "2",
        "--frames-store", str(frames), "--output", str(output), "--settings", settings,
    ]  # fmt: skip
    return subprocess.Popen(command, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2])


@pytest.mark.slow
def test_killed_in_the_middle_and_run_again_it_has_the_same_bytes(made, tmp_path):
    frames = write_store(tmp_path / "frames.h5", "val", range(400))
    whole, again = tmp_path / "whole/shard_0.h5", tmp_path / "again/shard_0.h5"
    folder = made("videomae").folder
    done = start(frames, whole, folder)
    assert done.wait() == 0, done.stderr.read()
    killed = start(frames, again, folder)
    wait_for_rows(again.parent, killed)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not again.exists()
    assert [path.suffix for path in again.parent.iterdir()] == [".tmp"]
    assert start(frames, again, folder).wait() == 0
    assert again.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in again.parent.iterdir()) == [
        "shard_0.h5", "shard_0.h5.provenance.json",
    ]  # fmt: skip


def wait_for_rows(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Until some of the features are in the temporary file, but not all of them: 6.5 MB."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if any(path.stat().st_size > 1e6 for path in folder.glob(".*.tmp")):
            return
        time.sleep(0.005)
    pytest.fail("it ended before it could be killed")


def test_convolutions_have_all_bits_of_float32(cached, made, monkeypatch):
    """Extraction sees to it, and asking for the device alone changes nothing."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    settings = settings_of("timm", made("timm").folder)
    device_of(settings)
    assert torch.backends.cudnn.allow_tf32
    cached(settings)
    assert not torch.backends.cudnn.allow_tf32
