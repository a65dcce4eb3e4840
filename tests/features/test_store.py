from __future__ import annotations

import functools
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tests.data.feature_files import META, STEPS, WIDTH, features_of, label_of, other, write_shard
from tests.methods.converters.cached import make_pair
from vidkd.data.shards import find_feature_shards
from vidkd.errors import UserError
from vidkd.features.splits import open_splits
from vidkd.features.store import FeatureStore

SHARDS = [["b", "short"], [], ["a/1", "c", "é"], ["d"]]
IDS = [name for names in SHARDS for name in sorted(names)]


def expected(video_ids):
    return np.array([features_of(name) for name in video_ids]).astype(np.float16)


@pytest.fixture
def files(tmp_path):
    return [write_shard(tmp_path / f"shard_{k}.h5", names) for k, names in enumerate(SHARDS)]


class TestReading:
    def test_shards_are_one_sequence(self, files):
        store = FeatureStore(files)
        assert (len(store), store.video_ids, store.shape) == (6, IDS, (STEPS, WIDTH))
        assert (store.dtype, store.meta) == (torch.float16, other(preprocessing=store.meta.preprocessing))
        assert store.label_ids.tolist() == [label_of(name) for name in IDS]
        assert store.padded.tolist() == [name == "short" for name in IDS]

    @pytest.mark.parametrize("rows", [range(6), [5, 0, 3, 3], [2], []])
    def test_rows_in_any_order(self, files, rows):
        got = FeatureStore(files).rows(rows)
        assert got.dtype == torch.float16
        assert got.shape == (len(rows), STEPS, WIDTH)
        np.testing.assert_array_equal(got, expected(IDS)[list(rows)])

    def test_a_batch_is_memory_of_its_own(self, files):
        store = FeatureStore(files)
        store.rows([0]).zero_()
        np.testing.assert_array_equal(store.rows([0]), expected(IDS[:1]))

    def test_float32_exactly(self, tmp_path):
        path = write_shard(tmp_path / "x.h5", IDS, other(dtype="float32"))
        np.testing.assert_array_equal(FeatureStore([path]).rows([0])[0], features_of(sorted(IDS)[0]))

    def test_by_video_id(self, files):
        store = FeatureStore(files)
        assert store.rows_of(["d", "b"]).tolist() == [5, 0]
        with pytest.raises(UserError, match=r"no features of 2 videos \(x, y\): run snakemake features"):
            store.rows_of(["b", "x", "y"])

    def test_out_of_range(self, files):
        with pytest.raises(IndexError):
            FeatureStore(files).rows([6])

    def test_attributes_may_be_empty_or_not_ascii(self, tmp_path):
        meta = other(decoder="", preprocessing={}, backbone="é")
        store = FeatureStore([write_shard(tmp_path / "x.h5", IDS, meta)])
        assert store.meta == meta
        store.check(meta)

    def test_only_empty_shards(self, files):
        store = FeatureStore(files[1:2])
        store.verify()
        assert len(store) == len(store.rows([])) == 0

    def test_files_that_are_aligned_differently(self, tmp_path):
        """With an odd number of bytes before them, floats cannot be one array with those of other files."""
        ids = [f"v{number}" for number in range(5)]
        files = [write_shard(tmp_path / f"{name}.h5", [name]) for name in ids]
        store = FeatureStore(files)
        for shard in store._shards[1::2]:
            content = shard.path.read_bytes()
            shard.path.write_bytes(content[: shard._start] + b"x" + content[shard._start :])
            shard._start += 1
        np.testing.assert_array_equal(store.rows([4, 3, 0]), expected(["v4", "v3", "v0"]))

    @pytest.mark.parametrize("layout", [{"chunks": (1, 2, 5)}, {"compression": "gzip"}, {"dtype": ">f2"}])
    def test_foreign_files(self, files, layout):
        with h5py.File(files[2], "r+") as file:
            values = file["features"][:]
            del file["features"]
            file.create_dataset("features", data=values, **layout)
        store = FeatureStore(files)
        store.verify()
        np.testing.assert_array_equal(store.rows(range(6)), expected(IDS))
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(store)).rows([3]), expected(IDS[3:4]))

    def test_a_damaged_compressed_row_is_found(self, files):
        with h5py.File(files[2], "r+") as file:
            values = file["features"][:]
            del file["features"]
            file.create_dataset("features", data=values, chunks=(1, STEPS, WIDTH), compression="gzip")
            start = file["features"].id.get_chunk_info(1).byte_offset
        flip(files[2], start + 5)
        with pytest.raises(UserError, match=r"shard_2\.h5: 1 videos \(c\)"):
            FeatureStore(files).verify()


def row_of(store, row):
    return store.rows([row])[0]


class TestProcesses:
    def test_pickled_store_is_small_and_reads_the_same(self, tmp_path):
        store = FeatureStore([write_shard(tmp_path / "x.h5", IDS, steps=16, width=768)])
        rows = store.rows(range(6))
        pickled = pickle.dumps(store)
        assert len(pickled) < rows.nbytes / 10
        assert torch.equal(pickle.loads(pickled).rows(range(6)), rows)

    @pytest.mark.parametrize("start", ["fork", "spawn"])
    def test_loader_workers_read_the_same(self, files, start):
        store = FeatureStore(files)
        store.rows([0])
        read = functools.partial(row_of, store)
        loader = DataLoader(
            range(6), batch_size=None, collate_fn=read, num_workers=1, multiprocessing_context=start
        )
        np.testing.assert_array_equal(torch.stack(list(loader)), expected(IDS))

    def test_threads_may_share_it(self, files):
        store = FeatureStore(files)
        with ThreadPoolExecutor(4) as threads:
            seen = list(threads.map(lambda _: store.rows(range(6)), range(4)))
        assert all(torch.equal(rows, seen[0]) for rows in seen)

    def test_a_cache_on_a_read_only_disk_is_read(self, files):
        files[0].chmod(0o444)
        files[0].parent.chmod(0o555)
        try:
            assert len(FeatureStore(files).rows([0])) == 1
        finally:
            files[0].parent.chmod(0o755)


def flip(path, place, bit=1):
    content = bytearray(path.read_bytes())
    content[place] ^= bit
    path.write_bytes(content)


def contents(path):
    """Everything that a reader of one file can get."""
    store = FeatureStore([path])
    store.verify()
    return store.video_ids, store.label_ids.tolist(), store.padded.tolist(), store.meta, store.rows([0, 1, 2])


class TestDamage:
    def test_every_flipped_byte_of_the_features_is_found(self, files):
        with h5py.File(files[2]) as file:
            start, size = file["features"].id.get_offset(), file["features"].nbytes
        whole = files[2].read_bytes()
        for place in range(size):
            flip(files[2], start + place, bit=1 << place % 8)
            name = ["a/1", "c", "é"][place // (size // 3)]
            with pytest.raises(
                UserError, match=rf"damaged: \S*shard_2\.h5: 1 videos \({name}\)\. Delete just"
            ):
                FeatureStore(files).verify()
            files[2].write_bytes(whole)
        FeatureStore(files).verify()

    @pytest.mark.slow
    def test_no_flipped_byte_of_the_file_changes_what_is_read(self, files):
        """Some bytes of an HDF5 file are never read; a flip there must be without effect."""
        whole, right, found = files[2].read_bytes(), contents(files[2]), 0
        for place in range(len(whole)):
            flip(files[2], place, bit=1 << place % 8)
            try:
                read = contents(files[2])
            except UserError:
                found += 1
            else:
                assert read[:4] == right[:4]
                assert torch.equal(read[4], right[4])
            files[2].write_bytes(whole)
        assert found > len(whole) / 3

    def test_a_changed_label_is_found_on_opening(self, files):
        with h5py.File(files[2], "r+") as file:
            file["label_id"][1] += 1
        with pytest.raises(
            UserError, match=r"shard_2\.h5 is not a whole .* labels or attributes are damaged"
        ):
            FeatureStore(files)

    def test_a_truncated_file_is_named_wherever_it_ends(self, files):
        whole = files[2].read_bytes()
        for size in range(0, len(whole), 97):
            files[2].write_bytes(whole[:size])
            with pytest.raises(
                UserError, match=r"shard_2\.h5 is not a whole feature store .* makes no other"
            ):
                FeatureStore(files)

    def test_a_missing_shard_is_named(self, files):
        files[2].unlink()
        with pytest.raises(
            UserError, match=r"shard_2\.h5 is missing: run snakemake features, which makes only"
        ):
            FeatureStore(files)
        with pytest.raises(UserError, match=r"shard_2\.h5 is missing"):
            FeatureStore(find_feature_shards([files[0].parent]))

    def test_the_last_shard_is_missed_where_its_provenance_is_left(self, files):
        files[2].rename(f"{files[2]}.provenance.json")
        with pytest.raises(UserError, match=r"shard_2\.h5 is missing"):
            FeatureStore(find_feature_shards([files[0].parent]))

    def test_a_frame_store_is_called_one(self, files):
        with h5py.File(files[0], "w") as file:
            file.attrs["encoding"] = "raw"
        with pytest.raises(UserError, match=r"shard_0\.h5 is a frame store, not one of features"):
            FeatureStore(files)

    def test_a_cache_without_labels(self, files):
        with h5py.File(files[0], "r+") as file:
            del file["label_id"]
        with pytest.raises(
            UserError, match=r"shard_0\.h5: cached features do not contain labels: .*: delete it"
        ):
            FeatureStore(files)

    def test_a_file_of_another_kind(self, files):
        for write in (lambda: files[0].write_text("not HDF5"), lambda: h5py.File(files[0], "w").close()):
            write()
            with pytest.raises(UserError, match=r"shard_0\.h5 is not a whole feature store"):
                FeatureStore(files)

    def test_a_folder_in_place_of_its_files(self, files):
        with pytest.raises(TypeError, match="give a list of files"):
            FeatureStore(str(files[0].parent))

    def test_folders_of_folders_give_the_shards_of_each(self, tmp_path):
        splits = [tmp_path / "clip" / split for split in ("test", "train")]
        files = [write_shard(split / "shard_0.h5", ["a"]) for split in splits]
        assert find_feature_shards([tmp_path]) == [split / "shard_0.h5" for split in splits], files

    def test_no_files(self):
        with pytest.raises(UserError, match="at least one"):
            FeatureStore([])


class TestAgreement:
    @pytest.mark.parametrize(
        "field", [{"weights_sha256": "0"}, {"preprocessing": {"size": 112}}, {"decoder": "torchcodec 0.13"}]
    )
    def test_a_shard_made_otherwise_is_named(self, files, field):
        write_shard(files[2], SHARDS[2], other(**field))
        with pytest.raises(
            UserError, match=rf"shard_2\.h5: made with other {next(iter(field))} than .*_0\.h5"
        ):
            FeatureStore(files)

    @pytest.mark.parametrize(
        "field", [{"weights_sha256": "0"}, {"preprocessing": {"size": 112}}, {"decoder": "torchcodec 0.13"}]
    )
    def test_features_that_are_not_as_configured_are_refused(self, files, field):
        store = FeatureStore(files[2:3])
        store.check(META)
        store.check(other(versions={"torch": "3"}))
        with pytest.raises(
            UserError, match=rf"shard_2\.h5: made otherwise.*{next(iter(field))} is .* not .*"
        ):
            store.check(other(**field))

    @pytest.mark.parametrize("shape", [{"steps": 2}, {"width": 4}])
    def test_rows_of_another_shape(self, files, shape):
        write_shard(files[3], SHARDS[3], **shape)
        with pytest.raises(
            UserError, match=r"shard_3\.h5 has rows of \(\d, \d\) .* the other shards \(3, 5\)"
        ):
            FeatureStore(files)

    def test_another_type(self, files):
        write_shard(files[2], SHARDS[2], other(dtype="float32"))
        with pytest.raises(UserError, match=r"shard_2\.h5: made with other dtype"):
            FeatureStore(files)

    def test_a_video_in_two_shards(self, files):
        write_shard(files[3], ["d", "b"])
        with pytest.raises(UserError, match=r"video 'b' is in .*shard_0\.h5 and in .*shard_3\.h5: delete"):
            FeatureStore(files)


class TestFinding:
    def test_folders_are_in_the_order_of_shards(self, tmp_path):
        files = [write_shard(tmp_path / f"shard_{k}.h5", [f"v{k}"]) for k in range(11)]
        assert find_feature_shards([tmp_path]) == files
        assert find_feature_shards([files[3], files[1]]) == [files[3], files[1]]

    def test_nothing_there(self, tmp_path):
        with pytest.raises(UserError, match="no feature store there"):
            find_feature_shards([tmp_path])
        with pytest.raises(UserError, match=r"absent\.h5: no feature store there"):
            find_feature_shards([tmp_path / "absent.h5"])


def test_paths_may_be_words(files):
    assert FeatureStore([str(file) for file in files]).video_ids == IDS
    assert isinstance(files[0], Path)


def test_a_video_is_in_one_split(tmp_path):
    shards = make_pair(tmp_path)["vjepa2"]
    assert list(open_splits(shards)) == ["train", "val", "test"]
    with pytest.raises(UserError, match=r"^24 videos are in val and in test, 'val_000' among them: .* own f"):
        open_splits(shards | {"test": shards["val"]})
    with pytest.raises(UserError, match=r"^\d+ videos are in train and in test, 'train_\d+' among them"):
        open_splits(shards | {"test": [*shards["test"], shards["train"][0]]})
