from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
import tracemalloc
import zlib

import h5py
import numpy as np
import pytest

from tests.data.feature_files import META, STEPS, WIDTH, features_of, label_of, other, write_shard
from vidkd.errors import UserError
from vidkd.features.writer import feature_writer

IDS = ["a/1", "b", "short", "é/2"]


@pytest.fixture
def file(tmp_path):
    with h5py.File(write_shard(tmp_path / "shard_0.h5", IDS)) as opened:
        yield opened


def add(path, *rows, meta=META, count=None):
    """Write `rows` of (video id, features)."""
    with feature_writer(path, meta, len(rows) if count is None else count) as writer:
        for video_id, row in rows:
            writer.add(video_id, 0, np.arange(4), False, row)


ONES = np.ones((2, 3), np.float32)


class TestLayout:
    def test_columns(self, file):
        assert file["video_id"].asstr()[:].tolist() == IDS
        assert file["label_id"][:].tolist() == [label_of(name) for name in IDS]
        assert file["padded"][:].tolist() == [False, False, True, False]
        assert file["index"][2].tolist() == [0, 5, 10, 15]
        types = {"features": "f2", "label_id": "i4", "index": "i4", "padded": "?", "crc32": "u4"}
        assert {name: file[name].dtype for name in types} == {name: np.dtype(t) for name, t in types.items()}

    def test_features_are_contiguous_aligned_and_have_their_sums(self, file):
        features = file["features"]
        assert features.shape == (4, STEPS, WIDTH)
        assert features.chunks is features.compression is None
        assert features.id.get_offset() is not None
        expected = [features_of(name).astype(np.float16) for name in IDS]
        np.testing.assert_array_equal(features[:], expected)
        assert file["crc32"][:].tolist() == [zlib.crc32(row.tobytes()) for row in expected]

    def test_large_features_start_at_a_page(self, tmp_path):
        path = write_shard(tmp_path / "x.h5", IDS, steps=16, width=768)
        with h5py.File(path) as file:
            assert file["features"].id.get_offset() % 4096 == 0

    def test_attributes(self, file):
        names = {
            "backbone", "weights_sha256", "preprocessing", "tokens", "frames", "decoder", "versions",
            "frames_digest", "digest", "dtype", "checksum",
        }  # fmt: skip
        assert set(file.attrs) == names
        assert file.attrs["preprocessing"] == b'{"mean":[0.5,0.5,0.5],"size":224}'
        assert (file.attrs["backbone"], file.attrs["frames"], file.attrs["dtype"]) == (b"clip", 4, b"float16")

    def test_a_shard_without_videos(self, tmp_path):
        with h5py.File(write_shard(tmp_path / "x.h5", [])) as file:
            assert len(file["features"]) == len(file["video_id"]) == 0
            assert file["index"].shape == (0, 4)


class TestDigest:
    @pytest.mark.parametrize(
        "change",
        [
            {"backbone": "x"}, {"weights_sha256": "x"}, {"preprocessing": {"size": 1}}, {"tokens": "clip"},
            {"frames": 8}, {"dtype": "float32"}, {"decoder": "x"}, {"frames_digest": "x"},
        ],
    )  # fmt: skip
    def test_everything_that_decides_the_values_is_in_it(self, change):
        assert other(**change).digest != META.digest
        assert META.differences(other(**change)) == list(change)

    def test_versions_and_the_order_of_keys_are_not(self):
        same = other(versions={}, preprocessing={"mean": [0.5, 0.5, 0.5], "size": 224})
        assert same.digest == META.digest
        assert META.differences(same) == []

    def test_another_type_is_refused(self):
        with pytest.raises(ValueError, match="float16 or float32, not float64"):
            other(dtype="float64")


class TestRefused:
    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([("a", ONES), ("a", ONES)], "video 'a' comes twice"),
            ([("b", ONES), ("a", ONES)], "video 'a' comes after 'b'"),
            ([("a", ONES), ("b", ONES[:1])], r"video 'b' has features of shape \(1, 3\) .* \(2, 3\)"),
            ([("a", ONES[0])], r"video 'a' have shape \(3,\), not \(T', D\)"),
            ([("a", ONES * np.nan)], "video 'a' are NaN or infinite"),
            ([("a", ONES), ("b", ONES * np.inf)], "video 'b' are NaN or infinite"),
            ([("a", ONES * 1e5)], "video 'a' are too large for float16: store them as float32"),
        ],
    )
    def test_a_wrong_row_names_the_file_and_the_video(self, rows, message, tmp_path):
        with pytest.raises(UserError, match=rf"x\.h5.*{message}"):
            add(tmp_path / "x.h5", *rows)
        assert list(tmp_path.iterdir()) == []

    def test_other_frames_than_the_first(self, tmp_path):
        with feature_writer(tmp_path / "x.h5", META, 2) as writer:
            writer.add("a", 0, np.arange(4), False, ONES)
            with pytest.raises(UserError, match=r"'b' has features of shape .* from 3 frames, .* from 4"):
                writer.add("b", 0, np.arange(3), False, ONES)
            writer.add("b", 0, np.arange(4), False, ONES)

    def test_more_or_fewer_videos_than_said(self, tmp_path):
        with pytest.raises(UserError, match="'b' is one more than the 1 of the shard"):
            add(tmp_path / "x.h5", ("a", ONES), ("b", ONES), count=1)
        with pytest.raises(ValueError, match="1 of 2 videos were added"):
            add(tmp_path / "x.h5", ("a", ONES), count=2)
        assert list(tmp_path.iterdir()) == []

    def test_large_values_fit_into_float32(self, tmp_path):
        add(tmp_path / "x.h5", ("a", ONES * 1e5), meta=other(dtype="float32"))

    def test_full_disk_leaves_the_old_file_and_nothing_else(self, tmp_path):
        path = write_shard(tmp_path / "x.h5", IDS)
        before = path.read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
        try:
            with pytest.raises(UserError, match=r"cannot write .*x\.h5: File too large"):
                write_shard(path, IDS, steps=64, width=768)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]


class TestAtomic:
    def test_same_rows_give_the_same_bytes(self, tmp_path):
        first = write_shard(tmp_path / "1.h5", IDS)
        time.sleep(1.1)  # were there time stamps, they are whole seconds
        assert write_shard(tmp_path / "2.h5", IDS).read_bytes() == first.read_bytes()

    def test_kill_in_the_middle_leaves_no_file_and_a_rerun_the_same_bytes(self, tmp_path):
        program = (
            "import sys, time; from pathlib import Path; from tests.data import feature_files as f\n"
            "with f.feature_writer(Path(sys.argv[1]), f.META, 2) as writer:\n"
            "    writer.add('a', 1, f.np.arange(4), False, f.features_of('a'))\n"
            "    print('half', flush=True); time.sleep(60)\n"
        )
        path = tmp_path / "shard_0.h5"
        command = [sys.executable, "-c", program, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
            assert killed.stdout.readline() == "half\n"
            os.kill(killed.pid, signal.SIGKILL)
        assert not path.exists()
        assert [file.name for file in tmp_path.iterdir()] == [f".shard_0.h5.{killed.pid}.tmp"]
        write_shard(path, ["a", "b"])
        assert list(tmp_path.iterdir()) == [path]
        assert path.read_bytes() == write_shard(tmp_path / "straight.h5", ["a", "b"]).read_bytes()

    def test_the_file_of_a_living_process_is_left(self, tmp_path):
        others = tmp_path / f".x.h5.{os.getppid()}.tmp"
        others.touch()
        write_shard(tmp_path / "x.h5", IDS)
        assert others.exists()

    def test_memory_does_not_grow_with_the_rows(self, tmp_path):
        row = np.ones((16, 768), np.float32)
        tracemalloc.start()
        add(tmp_path / "x.h5", *((f"{number:05}", row) for number in range(500)))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 3e6 < (tmp_path / "x.h5").stat().st_size
