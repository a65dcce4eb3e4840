from __future__ import annotations

import pickle
import resource
import shutil
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise

import h5py
import numpy as np
import pytest
import torch

from tests.data.peaks import peak_bytes
from tests.data.videos import CLIPS, HEIGHT, WIDTH, needs_clips, number_of, write_video
from vidkd.config.data import FrameSettings
from vidkd.data.extract import extract_shard
from vidkd.data.frames import FrameStore
from vidkd.data.hdf5 import text_of
from vidkd.data.pixels import shrink_short_side
from vidkd.data.probe import COLUMNS
from vidkd.data.sampling import segment_centres
from vidkd.data.tables import write_rows
from vidkd.errors import UserError
from vidkd.video.decode import decode_frames

RAW = FrameSettings(per_video=8, encoding="raw")
JPEG = FrameSettings(per_video=8, encoding="jpeg")


def probed(path, video_id, frames, split="train", status="ok", label_id=1):
    values = {"video_id": video_id, "path": path, "split": split, "status": status}
    return dict.fromkeys(COLUMNS, "") | values | {"label_id": str(label_id), "frames": str(frames)}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "long.mp4", 37, bf="2")
    write_video(folder / "other.mp4", 20)
    write_video(folder / "short.mp4", 3)
    return folder


def extract(folder, root, rows, settings=RAW, name="shard_0.h5", split="train"):
    folder.mkdir(exist_ok=True)
    write_rows(folder / "probe.csv", rows, COLUMNS)
    counts = extract_shard(folder / "probe.csv", split, root, folder / name, settings)
    return counts, folder / name


ROWS = [
    probed("short.mp4", "c/é", 3, label_id=4),
    probed("long.mp4", "a", 37),
    probed("other.mp4", "b", 20, label_id=0),
    probed("other.mp4", "t", 20, split="test"),
    probed("gone.mp4", "x", "", status="excluded"),
]


EXTRACT = """
import sys
from pathlib import Path
from vidkd.config.data import FrameSettings
from vidkd.data.extract import extract_shard

folder, store = map(Path, sys.argv[1:])
settings = FrameSettings(per_video=128, encoding="raw")
assert extract_shard(folder / "probe.csv", "train", folder, store, settings)[1] == 0
"""


@pytest.fixture(scope="module")
def file(root, tmp_path_factory):
    counts, path = extract(tmp_path_factory.mktemp("store"), root, ROWS)
    assert counts == (3, 0)
    with h5py.File(path) as opened:
        yield opened


DATASETS = ["video_id", "label_id", "size", "index", "crc32", "offset"]


def _read_all(files):
    """What only the frames are short of is seen where they are read."""
    store = FrameStore(files)
    for i in range(len(store)):
        store.clip(i, range(8))


def _as_group(file, name):
    del file[name]
    file.create_group(name)


def _huge(file, name):
    shape = (10**12, *file[name].shape[1:])
    dtype = file[name].dtype
    del file[name]
    file.create_dataset(name, shape, dtype)


def _one_short(file, name):
    values = file[name][:-1]
    del file[name]
    file[name] = values


def _gone(file, name):
    del file[name]


def _as_text(file, name):
    del file[name]
    file[name] = "text"


class TestLayout:
    def test_rows_are_sorted_and_typed(self, file):
        assert file["video_id"].asstr()[:].tolist() == ["a", "b", "c/é"]
        assert file["label_id"][:].tolist() == [1, 0, 4]
        types = {
            "data": "u1",
            "offset": "i8",
            "size": "i4",
            "label_id": "i4",
            "index": "i4",
            "timestamp": "f8",
        }
        types |= {"padded": "?", "crc32": "u4"}
        assert {name: file[name].dtype for name in types} == {name: np.dtype(t) for name, t in types.items()}

    def test_data_can_be_mapped(self, file):
        assert file["data"].chunks is None
        assert file["data"].id.get_offset() is not None
        assert file["data"].shape == (3 * 8 * HEIGHT * WIDTH * 3,)

    def test_frames_are_found_by_their_offsets(self, file):
        offset, data = file["offset"][:], file["data"][:]
        assert offset.shape == (3, 9)
        for row in range(3):
            for t, index in enumerate(file["index"][row]):
                image = data[offset[row, t] : offset[row, t + 1]].reshape(*file["size"][row], 3)
                assert number_of(image) == index
            sums = [zlib.crc32(data[start:end].tobytes()) for start, end in pairwise(offset[row])]
            assert file["crc32"][row].tolist() == sums

    def test_indices_and_times_are_the_sources(self, file):
        assert file["index"][0].tolist() == segment_centres(37, 8).tolist()
        np.testing.assert_allclose(file["timestamp"][:], file["index"][:] / 10, atol=1e-6)

    def test_short_video_repeats_and_says_so(self, file):
        assert file["index"][2].tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
        assert file["padded"][:].tolist() == [False, False, True]

    def test_attributes(self, file):
        attributes = {name: text_of(value) for name, value in file.attrs.items()}
        assert (attributes["encoding"], attributes["per_video"], attributes["short_side"]) == ("raw", 8, 256)
        assert attributes["n_excluded"] == 0
        assert attributes["decoder"].startswith("PyAV ")
        assert {"digest", "versions"} <= set(attributes)
        assert file["excluded"].shape == (0, 3)


class TestExtraction:
    @pytest.mark.parametrize("settings", [RAW, JPEG])
    def test_same_inputs_give_the_same_bytes(self, root, tmp_path, settings):
        _, first = extract(tmp_path / "1", root, ROWS, settings)
        _, second = extract(tmp_path / "2", root, ROWS[::-1], settings)
        assert first.read_bytes() == second.read_bytes()
        assert [path.name for path in (tmp_path / "1").iterdir() if path != first] == ["probe.csv"]

    def test_large_video_is_shrunk_and_a_small_one_is_left(self, root, tmp_path):
        settings = RAW.model_copy(update={"short_side": 24})
        store = FrameStore([extract(tmp_path, root, ROWS, settings)[1]])
        assert store.sizes.tolist() == [[24, 32]] * 3
        assert number_of(store.clip(0, [3])[0]) == segment_centres(37, 8)[3]

    def test_shrinking_is_antialiased_area_weighting(self):
        image = np.random.default_rng(0).integers(0, 256, (40, 80, 3), np.uint8)
        small = shrink_short_side(image, 20)
        expected = torch.nn.functional.interpolate(
            torch.from_numpy(image).permute(2, 0, 1)[None].double(),
            size=(20, 40),
            mode="bilinear",
            antialias=True,
        )[0].permute(1, 2, 0)
        assert small.shape == (20, 40, 3)
        assert np.abs(small - expected.numpy()).max() <= 1
        assert shrink_short_side(image, 40) is image
        assert shrink_short_side(image.transpose(1, 0, 2).copy(), 30).shape == (60, 30, 3)

    def test_too_short_a_video_is_excluded(self, root, tmp_path):
        counts, path = extract(tmp_path, root, ROWS, RAW.model_copy(update={"min_frames": 4}))
        assert counts == (2, 1)
        store = FrameStore([path])
        assert store.video_ids == ["a", "b"]
        assert store.excluded == [("c/é", "too_short", "3 frames, fewer than frames.min_frames = 4")]

    def test_fewer_frames_than_the_probe_counted(self, root, tmp_path):
        store = FrameStore([extract(tmp_path, root, [probed("other.mp4", "b", 33)])[1]])
        shown = [number_of(image) for image in store.clip(0, range(8))]
        assert shown == segment_centres(20, 8).tolist()

    def test_damaged_video_is_excluded_whole(self, root, tmp_path):
        content = bytearray((root / "long.mp4").read_bytes())
        content[-400:] = bytes(400)  # the index is first in these files, so this is picture data
        (tmp_path / "bad.mp4").write_bytes(content)
        counts, path = extract(tmp_path / "out", tmp_path, [probed("bad.mp4", "bad", 37)])
        assert counts == (0, 1)
        assert FrameStore([path]).excluded[0][1] == "decode_error"

    def test_missing_probe_file_is_named(self, tmp_path):
        with pytest.raises(UserError, match=r"cannot read .*probe\.csv"):
            extract_shard(tmp_path / "probe.csv", "train", tmp_path, tmp_path / "x.h5", RAW)
        assert not (tmp_path / "x.h5").exists()

    def test_full_disk_leaves_the_old_file_and_nothing_else(self, root, tmp_path):
        _, path = extract(tmp_path, root, ROWS)
        before = path.read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
        try:
            with pytest.raises(UserError, match=r"cannot write .*shard_0\.h5: File too large"):
                extract(tmp_path, root, ROWS)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == before
        assert sorted(found.name for found in tmp_path.iterdir()) == ["probe.csv", "shard_0.h5"]

    def test_more_videos_take_no_more_memory(self, root, tmp_path):
        """So many frames that already the few videos fill the two blocks that are copied into the store."""
        for number in range(120):
            shutil.copyfile(root / "other.mp4", tmp_path / f"{number:03}.mp4")
        peaks = []
        for count in (30, 120):
            rows = [probed(f"{number:03}.mp4", f"{number:03}", 20) for number in range(count)]
            write_rows(tmp_path / "probe.csv", rows, COLUMNS)
            peaks.append(peak_bytes(EXTRACT, tmp_path, tmp_path / f"{count}.h5"))
        pixels = 128 * HEIGHT * WIDTH * 3
        assert (tmp_path / "120.h5").stat().st_size > 120 * pixels
        assert peaks[1] - peaks[0] < 5e6 < 90 * pixels / 20

    @needs_clips
    def test_error_in_the_middle_excludes_the_clip(self, tmp_path):
        rows = [probed("broken/dc_corrupted.mp4", "bad", 50), probed("other/dc_video_90.mov", "turned", 3)]
        counts, path = extract(tmp_path, CLIPS, rows)
        assert counts == (1, 1)
        assert FrameStore([path]).sizes.tolist() == [[454, 256]]


class TestStore:
    @pytest.fixture
    def files(self, root, tmp_path):
        first = extract(tmp_path, root, ROWS[:2])[1]
        empty = extract(tmp_path, root, [], name="shard_1.h5")[1]
        return [first, empty, extract(tmp_path, root, ROWS[2:3], name="shard_2.h5")[1]]

    def test_shards_are_one_sequence(self, files, root):
        store = FrameStore(files)
        assert (len(store), store.per_video, store.video_ids) == (3, 8, ["a", "c/é", "b"])
        assert store.label_ids.tolist() == [1, 4, 0]
        frames, _ = decode_frames(root / "other.mp4", segment_centres(20, 8).tolist())
        np.testing.assert_array_equal(store.clip(2, [5, 0, 5]), np.stack([frames[5], frames[0], frames[5]]))

    def test_only_empty_shards(self, files):
        store = FrameStore(files[1:2])
        store.verify()
        assert len(store) == 0
        assert store.sizes.shape == (0, 2)

    @pytest.mark.parametrize(("i", "positions"), [(3, [0]), (-1, [0]), (0, [8]), (0, [-1])])
    def test_out_of_range(self, files, i, positions):
        with pytest.raises(IndexError):
            FrameStore(files).clip(i, positions)

    def test_every_flipped_byte_is_found(self, files):
        store = FrameStore(files)
        store.verify()
        with h5py.File(files[0]) as file:
            start, total = file["data"].id.get_offset(), len(file["data"])
        content = files[0].read_bytes()
        for place in np.random.default_rng(0).integers(0, total, 20):
            damaged = bytearray(content)
            damaged[start + place] ^= 1
            files[0].write_bytes(damaged)
            with pytest.raises(UserError, match=r"shard_0\.h5: 1 clips are damaged, such as"):
                FrameStore(files).verify()
            store = FrameStore(files)
            read = []
            for i in range(len(store)):
                with suppress(UserError):
                    read.append(store.clip(i, range(8)))
            assert len(read) == len(store) - 1, "a clip with a flipped byte is handed out by nobody"

    @pytest.mark.parametrize(
        "name",
        ["video_id", "label_id", "size", "index", "timestamp", "padded", "crc32", "offset", "excluded"],
    )
    def test_a_flipped_bit_beside_the_frames_is_found(self, files, name):
        with h5py.File(files[0]) as file:
            start, length = file[name].id.get_offset(), file[name].id.get_storage_size()
        content = files[0].read_bytes()
        for place in (0, length // 2, length - 1) if length else ():
            damaged = bytearray(content)
            damaged[start + place] ^= 1
            files[0].write_bytes(damaged)
            with pytest.raises(UserError, match=r"shard_0\.h5 is not a whole frame store"):
                FrameStore(files)

    def test_a_flipped_bit_of_the_structure_changes_nothing_that_is_read(self, files):
        """HDF5 itself must not crash of one, nor give other values."""
        whole, content = FrameStore(files), files[0].read_bytes()
        with h5py.File(files[0]) as file:
            start, length = file["data"].id.get_offset(), len(file["data"])
        refused = 0
        for place in set(range(0, len(content), 13)) - set(range(start, start + length)):
            flipped = bytes([content[place] ^ 1 << place % 8])
            files[0].write_bytes(content[:place] + flipped + content[place + 1 :])
            try:
                store = FrameStore(files)
            except UserError:
                refused += 1
            else:
                assert store.video_ids == whole.video_ids
                assert store.label_ids.tolist() == whole.label_ids.tolist()
        assert refused > 20

    @pytest.mark.parametrize("name", [*DATASETS, "data"])
    @pytest.mark.parametrize("damage", [_as_group, _huge, _one_short, _gone, _as_text])
    def test_a_damaged_structure_is_a_sentence(self, files, name, damage):
        with h5py.File(files[0], "r+") as file:
            damage(file, name)
        with pytest.raises(UserError, match=r"shard_0\.h5.*extract"):
            _read_all(files)

    @pytest.mark.parametrize("name", ["digest", "per_video", "encoding", "decoder"])
    def test_a_changed_attribute_is_found(self, files, name):
        with h5py.File(files[0], "r+") as file:
            file.attrs[name] = 7 if name == "per_video" else "another"
        with pytest.raises(UserError, match=r"shard_0\.h5 is not a whole frame store"):
            FrameStore(files)

    def test_pickled_store_is_small_and_reads_the_same(self, files):
        store = FrameStore(files)
        expected = store.clip(0, range(8))
        pickled = pickle.dumps(store)
        assert len(pickled) < expected.nbytes / 4
        np.testing.assert_array_equal(pickle.loads(pickled).clip(0, range(8)), expected)

    def test_threads_may_share_it(self, files):
        store = FrameStore(files)
        with ThreadPoolExecutor(4) as threads:
            seen = list(threads.map(lambda _: store.clip(2, range(8)), range(4)))
        assert all(np.array_equal(clip, seen[0]) for clip in seen)

    def test_foreign_file_with_chunks_is_read(self, files):
        expected = FrameStore(files).clip(0, [2])
        with h5py.File(files[0], "r+") as file:
            data = file["data"][:]
            del file["data"]
            file.create_dataset("data", data=data, chunks=(1000,), compression="gzip")
        np.testing.assert_array_equal(FrameStore(files).clip(0, [2]), expected)

    def test_shards_of_other_settings_are_refused(self, files, root):
        other = extract(files[0].parent, root, ROWS[:1], JPEG, name="shard_3.h5")[1]
        with pytest.raises(UserError, match=r"shard_3\.h5 and .*shard_0\.h5 .* different settings"):
            FrameStore([*files, other])

    def test_missing_cut_and_foreign_files_are_named(self, files):
        with pytest.raises(UserError, match=r"absent\.h5 is missing"):
            FrameStore([*files, files[0].with_name("absent.h5")])
        files[0].write_bytes(files[0].read_bytes()[:-1000])
        with pytest.raises(UserError, match=r"shard_0\.h5 is not a whole frame store"):
            FrameStore(files)
        files[0].write_text("not HDF5")
        with pytest.raises(UserError, match=r"shard_0\.h5 is not a whole frame store"):
            FrameStore(files)
        with h5py.File(files[0], "w") as file:
            file["other"] = 1
        with pytest.raises(UserError, match=r"shard_0\.h5 is not a whole frame store"):
            FrameStore(files)

    def test_no_files(self):
        with pytest.raises(UserError, match="at least one"):
            FrameStore([])
