"""Which label every video gets, and what is refused before anything is fitted."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from tests.methods.probes.cached import (
    CLASSES,
    COUNTS,
    FLOAT32,
    STEPS,
    WIDTH,
    feature_of,
    label_of,
    make_cache,
    video_ids,
    write,
)
from vidkd.errors import UserError
from vidkd.features import tokens as feature_tokens
from vidkd.features.tokens import token_statistics
from vidkd.methods.inputs import Inputs
from vidkd.methods.probes.rows import open_rows, token_means, tokens


def every_label(value) -> str:
    ids = [video_id for split in COUNTS for video_id in video_ids(split)]
    rows = [f"{video_id},{value(video_id)},true\n" for video_id in reversed(ids)]
    return "video_id,label_id,labelled\n" + "".join(rows)


def test_rows_are_joined_by_video_id(cache, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text(every_label(lambda video_id: (label_of(video_id) + 1) % 3))
    found = cache.open(labels)
    assert found.train.video_ids == video_ids("train")
    for join in (found.train, found.val, cache.test(labels)):
        assert join.label_ids.tolist() == [(label_of(video_id) + 1) % 3 for video_id in join.video_ids]
        batch = join.batch(np.array([5, 2]))
        assert batch.label.tolist() == [(label_of(join.video_ids[row]) + 1) % 3 for row in (5, 2)]
        (feature,) = batch.features.values()
        for video_id, row in zip((join.video_ids[5], join.video_ids[2]), feature, strict=True):
            assert row.numpy().tolist() == feature_of(video_id, label_of(video_id)).tolist()


def test_the_own_label_is_that_of_the_features(cache):
    found = cache.open()
    assert (found.classes, found.width) == (CLASSES, WIDTH)
    assert found.val.label_ids.tolist() == [label_of(video_id) for video_id in video_ids("val")]


def test_means_and_statistics_are_numpys(cache, monkeypatch):
    join = cache.open().train
    features = np.stack([feature_of(name, label_of(name)) for name in join.video_ids]).astype(np.float64)
    monkeypatch.setattr(feature_tokens, "AT_ONCE", 7 * STEPS * WIDTH * 4)  # several batches, a small last one
    assert [len(part) for part in tokens(join)] == [7] * 8 + [4]
    np.testing.assert_allclose(token_means(join).numpy(), features.mean(1), rtol=1e-12)
    ((mean, std),) = token_statistics(join).values()
    np.testing.assert_allclose(mean.numpy(), features.mean((0, 1)), rtol=1e-12)
    np.testing.assert_allclose(std.numpy(), features.std((0, 1)), rtol=1e-9)


def test_a_video_without_that_label_is_named(cache, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text(every_label(lambda _: 0).replace("val_007,0,true\n", ""))
    with pytest.raises(UserError, match=r"labels\.csv has no label of 1 videos, 'val_007' among them"):
        cache.open(labels)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (CLASSES[:2], r"train video 'train_002' has label 2, and .* has 2 classes"),
        ([*CLASSES, "dog", "eel"], r"none of the 60 training videos is of class dog, eel: "),
        (
            [f"class {number}" for number in range(80)],
            r"none of the 60 training videos is of class class 3, .* …: ",
        ),
        (["ant"], "has 1 class: a head has nothing to tell apart"),
    ],
    ids=["too few", "without videos", "more than videos", "one"],
)
def test_classes_that_are_not_those_of_the_videos(cache, classes, words):
    cache.classes.write_text(json.dumps(classes))
    with pytest.raises(UserError, match=words):
        cache.open()


@pytest.mark.parametrize("split", COUNTS)
def test_a_split_without_videos_is_named(cache, split):
    for shard in cache.shards[split]:
        write(shard, {})
    with pytest.raises(UserError, match=rf"{split} has features of no video"):
        cache.test()


def test_splits_made_otherwise_are_named(cache):
    other = replace(FLOAT32, weights_sha256="ef" * 32)
    for shard in cache.shards["val"]:
        write(shard, {}, other)
    write(cache.shards["val"][0], {"v_000": (0, feature_of("v_000", 0))}, other)
    with pytest.raises(UserError, match=r"val: made with other weights_sha256 than .*train"):
        cache.open()


def test_shards_that_disagree_are_named(cache):
    write(cache.shards["train"][1], {"v_000": (0, np.zeros((STEPS, WIDTH + 1), np.float32))})
    with pytest.raises(UserError, match=r"shard_1\.h5 has rows of \(4, 7\)"):
        cache.open()


def test_splits_of_other_widths_are_named(cache):
    rows = {"v_000": (0, np.zeros((STEPS, WIDTH + 1), np.float32))}
    for shard in cache.shards["test"]:
        write(shard, rows)
        rows = {}
    with pytest.raises(
        UserError, match=r"test has rows of \(4, 7\) \(T', D\), the training features \(4, 6\)"
    ):
        cache.test()


def test_a_video_of_training_and_test_is_named(cache):
    write(cache.shards["test"][0], {"train_003": (0, feature_of("train_003", 0))})
    with pytest.raises(UserError, match=r"1 videos are in train and in test, 'train_003' among them"):
        cache.test()


def test_the_features_of_two_networks_are_refused(cache):
    needs = cache.inputs().needs
    both = {name: needs.features["clip"] for name in ("clip", "amd")}
    with pytest.raises(UserError, match="on the features of one network, not of 2"):
        open_rows(Inputs(needs.model_copy(update={"features": both})))


def test_features_that_are_not_finite_are_named(cache, monkeypatch):
    """With the right checksums, as another program may have written them; ours refuses to."""
    with h5py.File(cache.shards["val"][0]) as file:
        names = file["video_id"].asstr()[:]
    rows = {name: (label_of(name), feature_of(name, label_of(name))) for name in names}
    rows[names[3]][1][1, 2] = np.nan
    with monkeypatch.context() as careless:
        careless.setattr(np, "isfinite", lambda row: np.ones_like(row, bool))
        write(cache.shards["val"][0], rows)
    with pytest.raises(UserError, match=f"features of video '{names[3]}' are NaN or infinite"):
        token_means(cache.open().val)


def test_features_without_labels_are_refused(cache):
    with h5py.File(cache.shards["train"][0], "r+") as file:
        del file["label_id"]
    with pytest.raises(UserError, match="cached features do not contain labels"):
        cache.open()


def test_the_number_of_shards_changes_nothing(tmp_path):
    one, many = (make_cache(tmp_path / str(count), n_shards=count).open().train for count in (1, 5))
    assert one.video_ids == many.video_ids
    assert torch.equal(token_means(one), token_means(many))
