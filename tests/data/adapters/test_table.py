from __future__ import annotations

import os
import subprocess
import sys
import zlib

import pytest

from tests.data.peaks import ROOT
from vidkd.data.adapters.table import Video, VideoTable

NO_ROOM = """
import resource
from vidkd.data.adapters import scratch
from vidkd.data.adapters.table import Video, VideoTable
from vidkd.errors import UserError

resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
scratch.CACHE_KB = 100
table = VideoTable()
try:
    for number in range(100_000):
        table.add(Video(f"{number}", f"{number}.mp4", "walk", "train"), "list:1")
except UserError as error:
    print(len(table), error)
"""


def table_of(names, split="train"):
    table = VideoTable()
    for number, name in enumerate(names):
        assert table.add(Video(name, f"{name}.mp4", "walk", split), f"list:{number}")
    return table


def test_videos_come_sorted_as_python_sorts_and_with_all_they_had():
    videos = [
        Video("b", "b.mp4", "run", "test", "g", "run;walk", labelled=False),
        Video("é", "é.mp4", "walk", "train"),
        Video("a b", "a b.mp4", "", "train", labelled=False),
        Video("\U0001f600", "1.mp4", "walk", "val", "group"),
        Video("\uffee", "2.mp4", "007", "val", "1"),
        Video("B", "B.mp4", "walk", "train"),
        Video("10", "10.mp4", "walk", "train"),
        Video("9", "9.mp4", "walk", "train"),
    ]
    table = VideoTable()
    assert all(table.add(video, "list:1") for video in videos)
    assert list(table) == sorted(videos, key=lambda video: video.video_id)
    assert len(table) == len(videos)
    assert table.splits() == {"train": 5, "val": 2, "test": 1}
    assert table.labels("train") == {"walk"}


def test_a_second_video_of_an_id_is_not_added():
    table = table_of(["a", "b"])
    place = os.fsdecode(b"/\xff/list:3")
    assert not table.add(Video("a", "other.mp4", "run", "test"), place)
    assert table.add(Video("c", "c.mp4", "run", "test"), place)
    assert [video.path for video in table] == ["a.mp4", "b.mp4", "c.mp4"]
    assert table.first("label = ?", "run") == (Video("c", "c.mp4", "run", "test"), place)


@pytest.mark.parametrize("n_shards", [1, 7, 400])
def test_each_shard_has_its_videos_and_may_have_none(n_shards):
    names = [f"{number:03}" for number in range(100)]
    found = [[video.video_id for video in shard] for shard in table_of(names[::-1]).shards(n_shards)]
    wanted = [[name for name in names if zlib.crc32(name.encode()) % n_shards == k] for k in range(n_shards)]
    assert found == wanted


def test_a_shard_that_is_not_read_leaves_the_next_whole():
    names = [f"{number:03}" for number in range(100)]
    shards = table_of(names).shards(3)
    next(shards)
    later = [[video.video_id for video in shard] for shard in shards]
    assert later == [[name for name in names if zlib.crc32(name.encode()) % 3 == k] for k in (1, 2)]


def test_no_room_for_the_temporary_file_is_a_sentence():
    command = [sys.executable, "-c", NO_ROOM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    count, _, message = done.stdout.partition(" ")
    assert 0 < int(count) < 100_000
    assert message.startswith("the list of videos cannot be kept in a temporary file: ")
    assert "set SQLITE_TMPDIR to another folder" in message
