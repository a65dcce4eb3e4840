from __future__ import annotations

import os
import subprocess
import sys
import zlib

import pytest

from tests.data.adapters.trees import NAMED, UNUSABLE, write
from tests.data.peaks import ROOT, peak_bytes
from vidkd.data.adapters.table import NamedVideos, Video, VideoTable
from vidkd.data.tables import read_rows
from vidkd.errors import UserError

NO_ROOM = """
import resource
from vidkd.data.adapters import table as module
from vidkd.data.adapters.table import Video, VideoTable
from vidkd.errors import UserError

resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
module.CACHE_KB = 100
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


# ---- videos by name


def touch(folder, *names):
    write(folder, dict.fromkeys(names, ""))


def test_videos_are_found_at_any_depth(tmp_path):
    touch(tmp_path, "x.mp4", "a/b/y.AVI", "a/notes.txt", "a/z.jpg")
    found = NamedVideos(tmp_path)
    assert [found.path(name, "absent") for name in ("x", "y", "notes", "z")] == [
        "x.mp4",
        "a/b/y.AVI",
        "absent",
        "absent",
    ]


@pytest.mark.parametrize("folder", ["a_replacement", "z_replacement"])
def test_a_replacement_is_taken_instead(tmp_path, folder):
    touch(tmp_path, "train/x.mp4", f"{folder}/x.mp4", "train/y.mp4")
    found = NamedVideos(tmp_path)
    assert [found.path(name, "absent") for name in "xyz"] == [f"{folder}/x.mp4", "train/y.mp4", "absent"]


def test_two_videos_of_one_name_are_refused(tmp_path):
    touch(tmp_path, "a/x.mp4", "b/x.avi")
    with pytest.raises(UserError, match=r"a/x\.mp4 and b/x\.avi under .* are the same video: remove one"):
        NamedVideos(tmp_path)


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_name_that_no_table_can_show_is_refused(tmp_path, name):
    touch(tmp_path, "train/x.mp4", f"train/{name}", f"small/{name}")
    with pytest.raises(UserError, match=NAMED):
        NamedVideos(tmp_path)


# ---- a list of any length takes the same memory; what tables may take is lowered here, to see it soon

LIST = """
import sys
from pathlib import Path
from vidkd.config.data import DataSettings
from vidkd.data.adapters import table
from vidkd.data.adapters.registry import write_listing
from vidkd.data.labels import write_labels

table.CACHE_KB = 200
adapter, root = sys.argv[1], Path(sys.argv[2])
settings = DataSettings(adapter=adapter, n_shards=8, labelled=0.1)
write_listing(settings, root, root, root / "listed", root / "listed/classes.json")
write_labels(settings, root, root, root / "labels.csv", root / "labels.json")
"""
FEW, MANY = 10_000, 30_000


def write_lists(folder, rows, splits, grouped):
    """Split files of `rows` videos of 400 classes, a twentieth of them in each split but train."""
    folder.mkdir()
    start = 0
    for split in splits:
        end = start + (rows // 20 if split != "train" else rows - rows // 20 * (len(splits) - 1))
        with (folder / f"{split}.csv").open("w") as stream:
            stream.writelines(
                f"{split}/{n % 400:03}/video_{n:07}.mp4,class {n % 400:03}"
                + (f",{split} scene {n // 4}\n" if grouped else "\n")
                for n in range(start, end)
            )
        start = end
    return folder


def write_kinetics(folder, rows):
    """Files and lists of `rows` clips of 400 classes, in folders of 1,000."""
    names = [f"{n:011}_000010_000020" for n in range(rows)]
    write(folder, {f"{n // 1000}/{name}.mp4": "" for n, name in enumerate(names)})
    lines = [f"class {n % 400:03},{name[:11]},10,20\n" for n, name in enumerate(names)]
    header = "label,youtube_id,time_start,time_end\n"
    write(folder, {"train.csv": header + "".join(lines[400:]), "val.csv": header + "".join(lines[:400])})
    return folder


def growth(adapter, few, many):
    """Bytes that each further video takes."""
    peaks = [peak_bytes(LIST, adapter, folder) for folder in (few, many)]
    for folder, rows in ((few, FEW), (many, MANY)):
        assert sum(len(read_rows(file)) for file in (folder / "listed").glob("shard_*.csv")) == rows
        assert len(read_rows(folder / "labels.csv")) == rows
    return (peaks[1] - peaks[0]) / (MANY - FEW)


@pytest.mark.parametrize(
    ("splits", "grouped"),
    [(("train", "val", "test"), True), (("train", "test"), True), (("train", "test"), False)],
    ids=["given", "cut by groups", "cut"],
)
def test_lists_of_any_length_take_the_same_memory(tmp_path, splits, grouped):
    folders = [write_lists(tmp_path / str(rows), rows, splits, grouped) for rows in (FEW, MANY)]
    assert growth("csv", *folders) < 50


def test_so_do_videos_that_are_looked_for_by_name(tmp_path):
    folders = [write_kinetics(tmp_path / str(rows), rows) for rows in (FEW, MANY)]
    assert growth("kinetics", *folders) < 50
