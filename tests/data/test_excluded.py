from __future__ import annotations

import json
import shlex

import numpy as np
import pytest

from tests.data.test_manifest import row
from vidkd.config.data import DataSettings, FrameSettings
from vidkd.data.excluded import join_excluded
from vidkd.data.frame_writer import StoredClip, frame_writer
from vidkd.data.probe import COLUMNS
from vidkd.data.tables import read_rows, write_rows
from vidkd.errors import UserError

SPLIT_OF = {"a": "train", "b": "train", "c": "val", "d": "test"}
FRAMES = FrameSettings(per_video=1, short_side=16, encoding="raw")


def write_store(file, clips, excluded):
    file.parent.mkdir(parents=True, exist_ok=True)
    with frame_writer(file, FRAMES, "none") as writer:
        for name in clips:
            clip = StoredClip(name, 0, np.zeros(1, np.int32), np.zeros(1), padded=False, size=(1, 1))
            writer.add(clip, [b"rgb"])
        writer.excluded += excluded


@pytest.fixture
def data(tmp_path):
    """A manifest of five probed videos (one unreadable) and a store in which another could not be decoded."""
    rows = [row(name, "x", split, shard=n) for n, (name, split) in enumerate(SPLIT_OF.items())]
    rows.append(row("e", "x", reason="empty") | {"detail": "no bytes"})
    write_rows(tmp_path / "manifest.csv", rows, COLUMNS)
    (tmp_path / "classes.json").write_text(json.dumps(["x"]))
    for split in ("train", "val", "test"):
        for shard in range(4):
            write_store(tmp_path / f"frames/{split}/shard_{shard}.h5", [], [])
    damaged = ("b", "decode_error", "corrupt after frame 28")
    write_store(tmp_path / "frames/train/shard_1.h5", ["a"], [damaged])
    return tmp_path


def join(folder, max_excluded, **more):
    settings = DataSettings(n_shards=4, max_excluded=max_excluded, **more)
    places = [folder / name for name in ("manifest.csv", "probe", "frames", "classes.json", "excluded.csv")]
    return join_excluded(*places, settings)


def test_both_stages_are_in_one_list_in_order_of_id(data):
    assert join(data, 0.5).summary() == "3 videos usable, 2 excluded (1 decode_error, 1 empty)"
    assert read_rows(data / "excluded.csv") == [
        {"video_id": "b", "path": "b.mp4", "reason": "decode_error", "detail": "corrupt after frame 28"},
        {"video_id": "e", "path": "e.mp4", "reason": "empty", "detail": "no bytes"},
    ]


def test_what_a_decoder_finds_counts_too(data):
    with pytest.raises(UserError, match=r"2 of 5 videos cannot be used(.|\n)*corrupt after frame 28"):
        join(data, 0.3)
    assert not (data / "excluded.csv").exists()


def test_a_video_that_has_gone_since_the_probe_counts_as_missing(data):
    gone = ("b", "missing", "there is no such file")
    write_store(data / "frames/train/shard_1.h5", ["a"], [gone])
    with pytest.raises(UserError, match=r"1 of 5 videos are missing, above data\.max_missing = 0\.1:"):
        join(data, 0.3, max_missing=0.1)
    assert join(data, 0.2, max_missing=0.2).excluded == 2


def test_what_to_delete_for_a_mended_video_is_named(data):
    """The probes of both, as a mended video may have more frames, and the frames of the undecodable one."""
    with pytest.raises(UserError, match="looked at again after") as raised:
        join(data, 0.3)
    names = ("probe/shard_0.csv", "probe/shard_1.csv", "frames/train/shard_1.h5")
    found = shlex.split(str(raised.value).partition("after: rm ")[2])
    assert found == [str(data / name) for name in names]


def test_a_class_that_lost_its_last_training_video(data):
    rows = [row for row in read_rows(data / "manifest.csv") if row["video_id"] != "a"]
    write_rows(data / "manifest.csv", rows, COLUMNS)
    with pytest.raises(UserError, match="train split has no usable video"):
        join(data, 0.9)


def test_stores_of_an_earlier_number_of_shards_are_not_read(data):
    write_store(data / "frames/train/shard_4.h5", [], [("c", "empty", "old")])
    join(data, 0.9)
    assert [row["video_id"] for row in read_rows(data / "excluded.csv")] == ["b", "e"]


def test_stores_of_another_data_set_are_refused(data):
    write_store(data / "frames/val/shard_0.h5", [], [("z", "empty", "no bytes")])
    with pytest.raises(UserError, match=r"manifest\.csv lacks 'z'"):
        join(data, 0.9)


def test_a_missing_store_is_named(data):
    (data / "frames/val/shard_2.h5").unlink()
    with pytest.raises(UserError, match=r"shard_2\.h5 is missing"):
        join(data, 0.9)
