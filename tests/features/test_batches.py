from __future__ import annotations

import threading

import h5py
import numpy as np
import pytest
import torch

from tests.data.feature_files import features_of, label_of, other, write_shard
from vidkd.errors import UserError
from vidkd.features.batches import AHEAD, FeatureBatches, FeatureJoin, shuffled, shuffled_by_shard
from vidkd.features.store import FeatureStore

IDS = [f"v{number:02}" for number in range(23)]
WIDE = other(backbone="wide", dtype="float32")


@pytest.fixture
def files(tmp_path):
    """Two backbones whose shards are cut differently."""
    clip = [write_shard(tmp_path / f"clip_{k}.h5", IDS[k::3]) for k in range(3)]
    wide = [write_shard(tmp_path / f"wide_{k}.h5", IDS[k::4], WIDE, steps=2, width=7) for k in range(4)]
    return clip, wide


@pytest.fixture
def join(files):
    clip, wide = files
    return FeatureJoin({"clip": FeatureStore(clip), "wide": FeatureStore(wide)})


def same(left, right):
    assert left.features.keys() == right.features.keys()
    for name in left.features:
        assert torch.equal(left.features[name], right.features[name])
    assert torch.equal(left.label, right.label)
    assert torch.equal(left.row, right.row)


class TestJoin:
    def test_rows_are_those_of_the_video(self, join):
        batch = join.batch(np.array([20, 3, 3]))
        ids = [IDS[20], IDS[3], IDS[3]]
        assert join.video_ids == IDS
        assert batch.label.tolist() == [label_of(name) for name in ids]
        assert batch.row.tolist() == [20, 3, 3]
        np.testing.assert_array_equal(
            batch.features["clip"], np.array([features_of(name) for name in ids]).astype(np.float16)
        )
        np.testing.assert_array_equal(batch.features["wide"], [features_of(name, 2, 7) for name in ids])

    def test_the_order_of_files_does_not_matter(self, files, join):
        clip, wide = files
        other_order = FeatureJoin(
            {"clip": FeatureStore(clip[::-1]), "wide": FeatureStore(wide[2:] + wide[:2])}
        )
        for left, right in zip(
            FeatureBatches(join, 5, 0).batches(1, 0),
            FeatureBatches(other_order, 5, 0).batches(1, 0),
            strict=True,
        ):
            same(left, right)

    def test_the_number_of_shards_does_not_matter(self, join, files, tmp_path):
        single = FeatureJoin(
            {"clip": FeatureStore([write_shard(tmp_path / "x.h5", IDS)]), "wide": join.stores["wide"]}
        )
        for left, right in zip(join.in_order(4), single.in_order(4), strict=True):
            same(left, right)

    def test_missing_videos_are_listed(self, files):
        stores = {"clip": FeatureStore(files[0]), "wide": FeatureStore(files[1][:3])}
        with pytest.raises(
            UserError, match=r"^wide has no features of 5 videos \(v03, v07, v11, v15, v19\)\. Run"
        ):
            FeatureJoin(stores)
        join = FeatureJoin(stores, allow_missing=True)
        assert join.video_ids == [name for k, name in enumerate(IDS) if k % 4 != 3]
        np.testing.assert_array_equal(join.batch(np.array([3])).features["wide"][0], features_of("v04", 2, 7))

    def test_a_flipped_byte_is_found_before_anything_is_trained_on_it(self, files):
        """Once, before the first batch; what is not read is not compared."""
        with h5py.File(files[1][2]) as file:
            start = file["features"].id.get_offset()
        content = bytearray(files[1][2].read_bytes())
        content[start + 9] ^= 1
        files[1][2].write_bytes(content)
        join = FeatureJoin({"clip": FeatureStore(files[0]), "wide": FeatureStore(files[1])})
        for batches in (FeatureBatches(join, 5, 0).batches(0, 0), join.in_order(5)):
            with pytest.raises(UserError, match=r"damaged: \S*wide_2\.h5: 1 videos \(v02\)\. Delete just"):
                next(batches)

    def test_nothing_in_common(self, files, tmp_path):
        stores = {"clip": FeatureStore(files[0]), "x": FeatureStore([write_shard(tmp_path / "x.h5", ["x"])])}
        with pytest.raises(UserError, match="clip, x have no video in common"):
            FeatureJoin(stores, allow_missing=True)

    def test_labels_that_disagree(self, files, tmp_path):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.data.feature_files.label_of", lambda name: label_of(name) + (name == "v04"))
            relabelled = FeatureStore([write_shard(tmp_path / "x.h5", IDS)])
        with pytest.raises(UserError, match=r"'v04' has label 55 in clip and 56 in x: delete the older"):
            FeatureJoin({"clip": FeatureStore(files[0]), "x": relabelled})


class TestEpochs:
    def test_each_epoch_has_every_video_once_in_its_own_order(self, join):
        data = FeatureBatches(join, 5, seed=3)
        assert data.steps_per_epoch == 4
        epochs = [torch.cat([batch.row for batch in data.batches(epoch, 0)]).tolist() for epoch in range(2)]
        assert all(len(set(rows)) == len(rows) == 20 for rows in epochs)
        assert epochs[0] != epochs[1]
        assert epochs[0] != torch.cat([b.row for b in FeatureBatches(join, 5, seed=4).batches(0, 0)]).tolist()

    def test_by_shard_has_one_shard_after_the_other(self, join):
        data = FeatureBatches(join, 1, 0, order=shuffled_by_shard)
        epochs = [torch.cat([batch.row for batch in data.batches(epoch, 0)]).numpy() for epoch in range(6)]
        shards = [[int(name[1:]) % 3 for name in np.array(IDS)[rows]] for rows in epochs]
        assert all(sorted(rows) == list(range(23)) for rows in epochs)
        assert all(np.count_nonzero(np.diff(numbers)) == 2 for numbers in shards)
        assert len({tuple(dict.fromkeys(numbers)) for numbers in shards}) > 1
        assert any(np.any(np.diff(rows[:5]) < 0) for rows in epochs)

    @pytest.mark.parametrize("start", [0, 1, 3, 4])
    @pytest.mark.parametrize("order", [shuffled, shuffled_by_shard])
    def test_an_epoch_goes_on_from_any_batch(self, join, start, order):
        straight = list(FeatureBatches(join, 5, 0, order=order).batches(2, 0))
        resumed = list(FeatureBatches(join, 5, 0, order=order).batches(2, start))
        for left, right in zip(straight[start:], resumed, strict=True):
            same(left, right)

    def test_batches_that_were_handed_out_stay(self, join):
        kept = list(FeatureBatches(join, 2, 0).batches(0, 0))
        for batch in kept:
            same(batch, join.batch(batch.row.numpy()))

    def test_evaluation_has_every_video_in_order(self, join):
        batches = list(join.in_order(10))
        assert [len(batch.label) for batch in batches] == [10, 10, 3]
        assert torch.cat([batch.row for batch in batches]).tolist() == list(range(23))

    def test_fewer_videos_than_a_batch(self, join):
        with pytest.raises(UserError, match="batch_size 24 is larger than the 23 cached videos: lower"):
            FeatureBatches(join, 24, 0)


class TestPinning:
    @pytest.fixture
    def pinned(self, monkeypatch):
        """As on a machine with a GPU: that there is one shall change nothing; the tensors that are pinned."""
        pinned = []
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: pinned.append(self) or self)
        return pinned

    def test_what_stays_on_the_cpu_touches_no_gpu(self, join, pinned):
        list(join.in_order(10))
        list(FeatureBatches(join, 5, 0).batches(0, 0))
        join.batch(np.array([1, 2]))
        assert pinned == []

    def test_every_batch_of_a_training_on_a_gpu_is_pinned(self, join, pinned):
        data = FeatureBatches(join, 5, 0, device=torch.device("cuda", 0))
        batches, plain = data.batches(0, 0), FeatureBatches(join, 5, 0).batches(0, 0)
        for left, right in zip(batches, plain, strict=True):
            same(left, right)
        assert len(pinned) == 4 * 3  # two features and the label


class TestThread:
    def test_it_works_ahead_and_ends_with_the_reader(self, join):
        before, planned = threading.active_count(), []
        plan = (planned.append(k) or np.array([k]) for k in range(20))
        batches = join.gathered(plan)
        next(batches)
        assert len(planned) == 1 + AHEAD
        assert threading.active_count() == before + 1
        batches.close()
        assert threading.active_count() == before

    def test_its_errors_are_raised_where_the_batch_is_read(self, files, join):
        for file in files[0]:
            with h5py.File(file, "r+") as opened:
                values = opened["features"][:]
                del opened["features"]
                opened.create_dataset("features", data=values, chunks=True)
        broken = FeatureJoin({"clip": FeatureStore(files[0])})
        files[0][0].unlink()
        with pytest.raises(OSError, match="No such file"):
            list(broken.in_order(23))
