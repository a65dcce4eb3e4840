"""Features computed when they are asked for: the bits of a cache, and no network run twice."""

from __future__ import annotations

import csv
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.backbones.checkpoints import settings_of
from tests.conftest import FRAMES, write_store
from tests.data.videos import write_video
from vidkd.backbones.extract import cache_shard
from vidkd.backbones.live import LiveFeatures, live_splits
from vidkd.config.data import FrameSettings
from vidkd.data.extract import extract_shard
from vidkd.data.frame_writer import frame_writer
from vidkd.errors import UserError
from vidkd.features.batches import FeatureJoin
from vidkd.features.store import FeatureStore


@pytest.fixture
def cached(tmp_path):
    """A function that caches the frames of shards, and gives the store."""

    def cache(frames, settings):
        files = [tmp_path / f"cache_{number}.h5" for number in range(len(frames))]
        for shard, output in zip(frames, files, strict=True):
            cache_shard(shard, "small", settings, output, batch=5)
        return FeatureStore(files)

    return cache


def opened(frames, settings, name) -> LiveFeatures:
    return live_splits({"train": frames}, settings, name)["train"]


def calls_of(source: LiveFeatures) -> list[int]:
    """How many clips the network sees at each call, from now on."""
    seen: list[int] = []
    source._network.backbone.register_forward_pre_hook(lambda _module, given: seen.append(len(given[0])))
    return seen


def test_rows_in_any_order_are_the_bits_of_a_float32_cache(kind, made, stores, cached):
    settings = settings_of(kind, made(kind).folder)
    source, store = opened(stores.train, settings, "small"), cached(stores.train, settings)
    for rows in ([23, 0, 11, 12], [5], [7, 7, 1], []):
        assert torch.equal(source.rows(rows), store.rows(rows))
    assert source.rows(np.array([3])).dtype == source.dtype == store.dtype


@pytest.mark.parametrize(
    "more", [{"tokens": "full"}, {"tokens": "clip"}, {"views": 2, "crops": 3, "frames": 4}, {"fp16": True}]
)
def test_it_says_of_itself_what_the_cache_says(more, made, stores, cached):
    settings = settings_of("videomae", made("videomae").folder, **more)
    source, store = opened(stores.train, settings, "small"), cached(stores.train, settings)
    assert source.meta.differences(store.meta) == (["dtype"] if "fp16" in more else [])
    assert source.meta.dtype == "float32"
    assert (source.video_ids, source.shape) == (store.video_ids, store.shape)
    assert source.label_ids.tolist() == store.label_ids.tolist()
    assert source.shards.tolist() == store.shards.tolist() == [0] * 12 + [1] * 12
    assert source.rows_of(store.video_ids[::-1]).tolist() == list(range(24))[::-1]
    torch.testing.assert_close(source.rows([9]), store.rows([9]).float(), rtol=2**-11, atol=2**-25)
    if "fp16" not in more:
        assert torch.equal(source.rows([9, 20]), store.rows([9, 20]))


def test_a_join_of_it_gives_the_batches_of_a_join_of_the_cache(made, stores, cached):
    settings = settings_of("vjepa2", made("vjepa2").folder)
    shards = stores.train[::-1]
    of_source = FeatureJoin({"small": opened(shards, settings, "small")})
    of_cache = FeatureJoin({"small": cached(shards, settings)})
    assert of_source.video_ids == of_cache.video_ids
    for one, other in zip(of_source.in_order(7), of_cache.in_order(7), strict=True):
        assert torch.equal(one.features["small"], other.features["small"])
        assert torch.equal(one.label, other.label)


def test_the_rows_that_were_asked_for_last_are_not_computed_again(made, stores):
    source = opened(stores.val, settings_of("timm", made("timm").folder, frames=4), "small")
    seen = calls_of(source)
    first = source.rows([3, 1])
    assert torch.equal(source.rows(np.array([3, 1])), first)
    assert seen == [1, 1]
    assert not torch.equal(source.rows([1, 3]), first)
    assert seen == [1] * 4


@pytest.fixture
def decoded(tmp_path):
    """A function from an encoding of the frame store to one of three real videos."""
    rows = [["video_id", "path", "split", "label_id", "status", "frames"]]
    for number, frames in enumerate((20, 31, 6)):
        path = write_video(tmp_path / "videos" / f"{number}.mp4", frames)
        rows.append([f"{number}", path.name, "train", number % 2, "ok", frames])
    with (tmp_path / "probe.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)

    def extract(encoding: str) -> Path:
        frames = FrameSettings(per_video=8, short_side=32, encoding=encoding)
        output = tmp_path / f"{encoding}.h5"
        extract_shard(tmp_path / "probe.csv", "train", tmp_path / "videos", output, frames)
        return output

    return extract


@pytest.mark.parametrize("encoding", ["raw", "jpeg", "none"])
def test_frames_of_every_encoding(encoding, made, decoded, cached):
    settings, frames = settings_of("vivit", made("vivit").folder), [decoded(encoding)]
    source, store = opened(frames, settings, "small"), cached(frames, settings)
    source.verify()
    assert torch.equal(source.rows([2, 0, 1]), store.rows([2, 0, 1]))
    assert source.waiting.seconds > 0


def test_a_video_that_was_replaced_is_refused_by_name(made, decoded, tmp_path):
    source = opened([decoded("none")], settings_of("vivit", made("vivit").folder), "small")
    source.verify()  # nothing is decoded here
    shutil.copy(tmp_path / "videos/2.mp4", tmp_path / "videos/0.mp4")
    with pytest.raises(UserError, match=r"videos/0\.mp4 could be read when .* only 6 decode"):
        source.rows([0])


def test_damaged_frames_are_found_before_the_first_batch(made, decoded):
    path = decoded("raw")
    source = opened([path], settings_of("vivit", made("vivit").folder), "small")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="1 clips are damaged, such as"):
        next(iter(FeatureJoin({"small": source}).in_order(2)))


def test_features_that_are_not_finite_name_the_video(made, stores):
    source = opened(stores.val, settings_of("timm", made("timm").folder, frames=4), "small")
    next(source._network.backbone.parameters()).data.fill_(float("nan"))
    with pytest.raises(UserError, match=f"features of video '{source.video_ids[4]}' are NaN or infinite"):
        source.rows([4, 5])


def test_videos_without_frames_are_listed(made, stores):
    source = opened(stores.val, settings_of("timm", made("timm").folder), "small")
    with pytest.raises(UserError, match=r"no frames of 7 videos \(x0, x1, x2, x3, x4 and 2 more\)"):
        source.rows_of([f"x{number}" for number in range(7)])


def test_stores_of_two_decoders_are_refused(made, stores, tmp_path):
    with frame_writer(tmp_path / "other.h5", FRAMES, "another"):
        pass
    with pytest.raises(UserError, match=r"other\.h5 was decoded by another, .*val\.h5 by rendered"):
        opened([*stores.val, tmp_path / "other.h5"], settings_of("timm", made("timm").folder), "x")


def test_more_frames_than_are_stored_are_refused(made, stores):
    source = opened(stores.val, settings_of("timm", made("timm").folder, frames=17), "small")
    with pytest.raises(UserError, match="17 frames are asked of videos stored with 16"):
        source.rows([0])


def test_small_frames_are_told_of_once(made, tmp_path, caplog):
    frames = write_store(tmp_path / "frames.h5", "val", range(2))
    settings = settings_of("timm", made("timm").folder, crops=3)
    with caplog.at_level(logging.WARNING, logger="vidkd"):
        source = opened([frames], settings, "small")
        source.rows([0])
        source.rows([1])
    assert caplog.text.count("their 3 crops are the same") == 1
