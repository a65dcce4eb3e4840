from __future__ import annotations

import json

import numpy as np
import pytest

from vidkd.config.data import FrameSettings
from vidkd.data.excluded import join_excluded
from vidkd.data.frames import StoredClip, frame_writer
from vidkd.data.probe import COLUMNS
from vidkd.data.tables import read_rows, rows_text
from vidkd.errors import UserError

SPLIT_OF = {"a": "train", "b": "train", "c": "val", "d": "test"}


@pytest.fixture
def data(tmp_path):
    """A manifest of four probed videos (one unreadable) and a store in which another could not be decoded."""
    rows = [
        {name: "" for name in COLUMNS}
        | {"video_id": v, "path": f"{v}.mp4", "label": "x", "split": split, "shard": str(n), "status": "ok"}
        for n, (v, split) in enumerate(SPLIT_OF.items())
    ]
    rows.append(rows[0] | {"video_id": "e", "path": "e.mp4", "status": "excluded", "reason": "empty file"})
    (tmp_path / "manifest.csv").write_text(rows_text(rows, COLUMNS))
    (tmp_path / "probed.csv").write_text("video_id,path,reason\ne,e.mp4,empty file\n")
    (tmp_path / "classes.json").write_text(json.dumps(["x"]))
    settings = FrameSettings(per_video=1, short_side=16, encoding="raw")
    with frame_writer(tmp_path / "train.h5", settings, "none") as writer:
        clip = StoredClip("a", 0, np.zeros(1, np.int32), np.zeros(1), padded=False, size=(1, 1))
        writer.add(clip, [b"rgb"])
        writer.excluded.append(("b", "decode_error", "corrupt after frame 28"))
    return tmp_path


def join(folder, max_excluded):
    files = [folder / name for name in ("manifest.csv", "probed.csv", "classes.json")]
    return join_excluded(*files, [folder / "train.h5"], folder / "excluded.csv", max_excluded)


def test_both_stages_are_in_one_list(data):
    assert join(data, 0.5) == 2
    assert read_rows(data / "excluded.csv") == [
        {"video_id": "e", "path": "e.mp4", "reason": "empty file"},
        {"video_id": "b", "path": "b.mp4", "reason": "decode_error: corrupt after frame 28"},
    ]


def test_what_a_decoder_finds_counts_too(data):
    with pytest.raises(UserError, match=r"2 of 5 videos cannot be used(.|\n)*corrupt after frame 28"):
        join(data, 0.3)
    assert not (data / "excluded.csv").exists()


def test_what_to_delete_for_a_mended_video_is_named(data):
    """The probes of both, as a mended video may have more frames, and the frames of the undecodable one."""
    with pytest.raises(UserError, match="looked at again after") as raised:
        join(data, 0.3)
    wanted = [str(data / name) for name in ("shard_0.csv", "shard_1.csv", "train.h5")]
    assert str(raised.value).partition("after: rm ")[2].split() == wanted


def test_a_class_that_lost_its_last_training_video(data):
    text = (data / "manifest.csv").read_text()
    (data / "manifest.csv").write_text("\n".join(x for x in text.split("\n") if not x.startswith("a,")))
    with pytest.raises(UserError, match="train split has no usable video"):
        join(data, 0.9)
