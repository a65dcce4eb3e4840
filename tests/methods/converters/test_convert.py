"""What a converter makes of features, when asked for and in a cache: the same to the last bit."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from threadpoolctl import threadpool_info

from tests.methods.converters.cached import (
    METAS,
    SHAPES,
    feature_of,
    inputs_of,
    make_pair,
    rows_by_id,
    video_ids,
    write_split,
)
from tests.methods.converters.trained import changed, trained
from tests.methods.probes.cached import label_of, write
from vidkd.artefacts import file_sha256
from vidkd.config.data import SPLITS
from vidkd.errors import UserError
from vidkd.features.batches import FeatureJoin
from vidkd.features.store import FeatureStore
from vidkd.features.writer import feature_writer
from vidkd.methods.converters.convert import ConvertedFeatures, convert
from vidkd.methods.converters.load import load_converter
from vidkd.methods.converters.model import KINDS


def outputs(folder):
    return {split: folder / split / "shard_0.h5" for split in SPLITS}


def convert_student(weights, student, onto):
    convert(inputs_of({"vjepa2": student}, {"converter": weights}), onto)


def cached(weights, shards, folder):
    convert_student(weights, shards["vjepa2"], outputs(folder))
    return {split: FeatureStore([path]) for split, path in outputs(folder).items()}


def computed(weights, files) -> ConvertedFeatures:
    return ConvertedFeatures.of(FeatureStore(files), load_converter(weights), weights)


def as_float16(shards, folder):
    half = replace(METAS["vjepa2"], dtype="float16")
    return shards | {
        "vjepa2": {
            split: write_split(folder / split, "vjepa2", video_ids(split), meta=half) for split in SPLITS
        }
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_cache_has_the_bits_of_each_clip_by_itself(pair, tmp_path, kind, dtype):
    weights = trained(pair, tmp_path / "run", changed(kind=kind, epochs=1))
    shards = as_float16(pair, tmp_path / "half") if dtype == "float16" else pair
    converter = load_converter(weights)
    for split, store in cached(weights, shards, tmp_path / "out").items():
        store.verify()
        assert store.video_ids == video_ids(split)
        assert store.label_ids.tolist() == [label_of(name) for name in store.video_ids]
        assert store.dtype == getattr(torch, dtype)
        on_the_fly = computed(weights, shards["vjepa2"][split])
        assert (
            (on_the_fly.shape, on_the_fly.dtype)
            == (store.shape, store.dtype)
            == (SHAPES["videomae"], store.dtype)
        )
        for row, name in enumerate(store.video_ids):
            clip = torch.from_numpy(feature_of("vjepa2", name)).to(store.dtype)[None]
            expected = converter(clip).to(store.dtype)
            assert torch.equal(store.rows([row]), expected)
            assert torch.equal(on_the_fly.rows(on_the_fly.rows_of([name])), expected)


def test_many_rows_at_once_have_the_bits_of_one(pair, weights):
    source = computed(weights, pair["vjepa2"]["train"])
    rows = np.random.default_rng(0).permutation(96)[:64]
    together = source.rows(rows)
    assert together.shape == (64, *SHAPES["videomae"])
    assert torch.equal(together, torch.cat([source.rows([row]) for row in rows]))
    assert source.rows([]).shape == (0, *SHAPES["videomae"])


def test_converted_features_are_joined_with_the_real_ones(pair, weights):
    source, real = computed(weights, pair["vjepa2"]["val"]), FeatureStore(pair["videomae"]["val"])
    join = FeatureJoin({"converted": source, "real": real})
    batch = join.batch(np.array([5, 2]))
    names = [video_ids("val")[row] for row in (5, 2)]
    clip = torch.from_numpy(np.stack([feature_of("vjepa2", name) for name in names]))
    torch.testing.assert_close(batch.features["converted"], load_converter(weights)(clip))
    for row, name in enumerate(names):
        np.testing.assert_array_equal(batch.features["real"][row], feature_of("videomae", name))
    assert not batch.features["converted"].requires_grad
    torch.nn.Linear(5, 1)(batch.features["converted"]).sum().backward()  # no tensor of inference mode


class Recording(ConvertedFeatures):
    """Says with how many threads OpenMP would compute, as this thread sees it."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.threads: list[int] = []

    def rows(self, rows):
        of_torch = [pool for pool in threadpool_info() if "torch" in pool["filepath"]]
        self.threads += [pool["num_threads"] for pool in of_torch if pool["user_api"] == "openmp"]
        return super().rows(rows)


def test_the_thread_that_gathers_has_the_threads_that_were_set(pair, weights):
    """A thread of its own starts with all cores, which small products of matrices then use."""
    store, before = FeatureStore(pair["vjepa2"]["val"]), torch.get_num_threads()
    source = Recording.of(store, load_converter(weights), weights)
    wanted = (os.cpu_count() or 1) + 1
    torch.set_num_threads(wanted)
    try:
        list(FeatureJoin({"converted": source}).in_order(8))
    finally:
        torch.set_num_threads(before)
    assert set(source.threads) == {wanted}


def test_a_trained_converter_is_nearer_to_the_teacher_than_its_mean(pair, tmp_path):
    settings = changed(epochs=25, lr=0.01, dropout=0.0, batch_size=16)
    weights = trained(pair, tmp_path / "run", settings)
    store = cached(weights, pair, tmp_path / "out")["test"]
    real = np.stack([feature_of("videomae", name) for name in store.video_ids])
    mean = np.concatenate(list(rows_by_id(pair["videomae"]["train"]).values())).mean(0)
    error = ((store.rows(range(len(store))).numpy() - real) ** 2).mean()
    assert error < 0.4 * ((real - mean) ** 2).mean()


def test_the_cache_says_what_made_it(pair, weights, tmp_path):
    store = cached(weights, pair, tmp_path / "out")["test"]
    student = FeatureStore(pair["vjepa2"]["test"]).meta
    assert store.meta.backbone == "videomae"
    assert store.meta.weights_sha256 == file_sha256(weights)
    assert store.meta.preprocessing == {
        "converter": "small", "student": student.digest, "student_weights_sha256": "ab" * 32,
    }  # fmt: skip
    for field in ("frames", "dtype", "decoder", "frames_digest"):
        assert getattr(store.meta, field) == getattr(student, field)
    assert store.meta.tokens == METAS["videomae"].tokens
    assert computed(weights, pair["vjepa2"]["test"]).meta == store.meta


def test_source_frames_and_padding_are_the_students(pair, weights, tmp_path):
    for split in SPLITS:
        for path in pair["vjepa2"][split]:
            with h5py.File(path) as file:
                names, features = list(file["video_id"].asstr()[:]), file["features"][:]
            write_padded(path, names, features)
    cached(weights, pair, tmp_path / "out")
    for split in SPLITS:
        with h5py.File(outputs(tmp_path / "out")[split]) as file:
            for name, index, padded in zip(
                file["video_id"].asstr()[:], file["index"][:], file["padded"][:], strict=True
            ):
                assert index.tolist() == [int(name[-3:]) + step for step in range(4)]
                assert padded == (int(name[-3:]) % 5 == 0)


def write_padded(path, names, features):
    with feature_writer(path, METAS["vjepa2"], len(names)) as writer:
        for name, row in zip(names, features, strict=True):
            number = int(name[-3:])
            writer.add(name, label_of(name), number + np.arange(4), number % 5 == 0, row)


def test_the_order_and_number_of_shards_do_not_matter(pair, weights, tmp_path):
    cached(weights, pair, tmp_path / "a")
    other = make_pair(tmp_path / "cut", n_shards=5)
    for shards in other["vjepa2"].values():
        shards.reverse()
    cached(weights, other, tmp_path / "b")
    for split in SPLITS:
        first, second = (outputs(tmp_path / folder)[split].read_bytes() for folder in "ab")
        assert first == second


def test_a_split_without_videos_is_a_shard_without_rows(pair, weights, tmp_path):
    for shard in pair["vjepa2"]["test"]:
        write(shard, {}, METAS["vjepa2"])
    stores = cached(weights, pair, tmp_path / "out")
    assert (len(stores["test"]), len(stores["val"])) == (0, 24)


def test_a_flipped_byte_of_the_student_is_refused(pair, weights, tmp_path):
    shard = pair["vjepa2"]["val"][1]
    rows = rows_by_id([shard])
    name = sorted(rows)[2]
    content = bytearray(shard.read_bytes())
    content[content.find(rows[name].tobytes()) + 2] ^= 4
    shard.write_bytes(content)
    with pytest.raises(UserError, match=f"features are damaged: .*{name}"):
        cached(weights, pair, tmp_path / "out")
    assert not outputs(tmp_path / "out")["val"].exists()
    with pytest.raises(UserError, match="features are damaged"):
        computed(weights, pair["vjepa2"]["val"]).verify()


def test_a_flipped_byte_of_the_cache_is_refused(pair, weights, tmp_path):
    cached(weights, pair, tmp_path / "out")
    path = outputs(tmp_path / "out")["test"]
    content = bytearray(path.read_bytes())
    content[content.find(rows_by_id([path])["test_007"].tobytes()) + 1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"features are damaged: .*test_007"):
        FeatureStore([path]).verify()


@pytest.mark.parametrize("split", SPLITS)
def test_features_of_another_student_are_refused_before_anything_is_written(pair, weights, tmp_path, split):
    other = replace(METAS["vjepa2"], weights_sha256="12" * 32)
    pair["vjepa2"][split] = write_split(tmp_path / "other", "vjepa2", video_ids(split), meta=other)
    with pytest.raises(
        UserError, match=rf"is a converter from other features .*weights_sha256 {'ab' * 32}, not"
    ):
        cached(weights, pair, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_features_of_the_teacher_are_none_of_the_students(pair, weights, tmp_path):
    with pytest.raises(UserError, match="backbone vjepa2, not videomae"):
        convert_student(weights, pair["videomae"], outputs(tmp_path / "out"))


def test_a_disk_without_room_is_said_before_the_first_clip(pair, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(
        UserError, match=r"features of 0\.0 MB do not fit on the disk, .*or choose another res"
    ):
        cached(weights, pair, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.h5"))


def test_an_output_is_none_of_the_inputs_and_of_one_split(pair, weights, tmp_path):
    before = pair["vjepa2"]["val"][0].read_bytes()
    onto = outputs(tmp_path / "out") | {"train": pair["vjepa2"]["val"][0]}
    with pytest.raises(UserError, match=r"val.shard_0\.h5 would be written over what is read"):
        convert_student(weights, pair["vjepa2"], onto)
    assert pair["vjepa2"]["val"][0].read_bytes() == before
    with pytest.raises(UserError, match=r"same\.h5 would be written over .* another split"):
        convert_student(weights, pair["vjepa2"], dict.fromkeys(SPLITS, tmp_path / "same.h5"))


def test_the_size_is_said(pair, weights, tmp_path, caplog):
    with caplog.at_level("INFO"):
        cached(weights, pair, tmp_path / "out")
    assert "test/shard_0.h5: 30 x 8 x 5 float32, 0.0 MB" in caplog.text


def test_what_float16_cannot_hold_is_refused(pair, weights, tmp_path):
    shards = as_float16(pair, tmp_path / "half")
    state = load_file(weights)
    save_file(state | {"teacher.mean": state["teacher.mean"] + 1e5}, weights)
    with pytest.raises(
        UserError, match=r"video 'train_000' is converted to features .* as torch\.float16: cache"
    ):
        cached(weights, shards, tmp_path / "out")
