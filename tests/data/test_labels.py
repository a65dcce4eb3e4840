"""Another label of the same videos."""

from __future__ import annotations

import json
import math

import pytest

from tests.conftest import CLASSES
from vidkd.config.data import DataSettings
from vidkd.data.adapters.registry import find_adapter, write_listing
from vidkd.data.adapters.table import Video, VideoTable
from vidkd.data.label_ids import read_labels
from vidkd.data.labels import mark, write_labels
from vidkd.data.tables import read_rows
from vidkd.errors import UserError

ROWS = {
    "train": ["a,move_up,disc", "b,move_up,ring", "c,move_down,ring", "e,move_down,disc"],
    "val": ["f,move_up,ring"],
    "test": ["d,move_down,disc"],
}


@pytest.fixture
def annotations(tmp_path):
    for split, lines in ROWS.items():
        text = "\n".join(f"{split}/{line}" for line in lines)
        (tmp_path / f"{split}.csv").write_text(f"path,motion,shape\n{text}\n")
    return tmp_path


def labels(folder, name):
    settings = DataSettings(adapter="demo", label=name)
    write_labels(settings, folder, folder, folder / "labels.csv", folder / "labels.json")
    return read_rows(folder / "labels.csv"), json.loads((folder / "labels.json").read_text())


def test_every_video_has_the_label_of_that_name(annotations):
    rows, classes = labels(annotations, "shape")
    assert classes == ["disc", "ring"]
    found = {row["video_id"]: classes[int(row["label_id"])] for row in rows}
    wanted = {
        f"{split}/{line.split(',')[0]}": line.split(",")[2] for split, lines in ROWS.items() for line in lines
    }
    assert found == wanted


def test_ids_are_those_of_the_listing(annotations):
    rows, classes = labels(annotations, "motion")
    settings = DataSettings(adapter="demo", n_shards=1)
    write_listing(settings, annotations, annotations, annotations, annotations / "classes.json")
    listed = read_rows(annotations / "shard_0.csv")
    assert [(row["video_id"], row["label"]) for row in listed] == [
        (row["video_id"], classes[int(row["label_id"])]) for row in rows
    ]
    assert set(classes) <= set(CLASSES)


def test_a_label_that_there_is_not_is_refused(annotations):
    with pytest.raises(UserError, match=r"has no column 'weight': check data\.label and probes\.labels"):
        labels(annotations, "weight")


def write_lists(folder, train):
    (folder / "train.csv").write_text("\n".join(["path,label", *train]) + "\n")
    (folder / "test.csv").write_text("path,label\nt/0.mp4,run\nt/1.mp4,walk\n")
    (folder / "val.csv").write_text("path,label\nv/0.mp4,run\nv/1.mp4,walk\n")


def marks(folder, **settings):
    write_labels(DataSettings(adapter="csv", **settings), folder, folder, folder / "l.csv", folder / "l.json")
    return {row["video_id"]: (int(row["label_id"]), row["labelled"]) for row in read_rows(folder / "l.csv")}


def test_other_data_sets_have_their_own_label_and_all_of_it(tmp_path):
    write_lists(tmp_path, [f"a/{n}.mp4,{'run' if n % 2 else 'walk'}" for n in range(20)])
    found = marks(tmp_path)
    assert len(found) == 24
    assert found["a/3"] == (0, "true")
    assert found["a/4"] == (1, "true")
    assert {mark for _, mark in found.values()} == {"true"}


@pytest.mark.parametrize("share", [1e-17, 0.01, 0.1, 0.25, 0.5])
def test_a_share_of_each_class_is_marked_and_a_larger_one_takes_no_mark_away(tmp_path, share):
    write_lists(tmp_path, [f"a/{n}.mp4,{'run' if n % 4 else 'walk'}" for n in range(80)])
    found, more = marks(tmp_path, labelled=share), marks(tmp_path, labelled=min(1, 2 * share))
    for label_id, count in ((0, 60), (1, 20)):
        marked = [name for name, of in found.items() if of == (label_id, "true") and name[0] == "a"]
        assert len(marked) == max(1, math.ceil(share * count))
        assert all(more[name][1] == "true" for name in marked)
    assert all(mark == "true" for name, (_, mark) in found.items() if name[0] != "a")


@pytest.mark.parametrize(("share", "count"), [(0.07, 100), (0.28, 25), (0.14, 50), (1e-17, 10), (1.0, 3)])
def test_a_share_is_rounded_up_as_floats_are_multiplied(share, count):
    table = VideoTable()
    for n in range(count):
        table.add(Video(f"{n}", f"{n}.mp4", "walk", "train"), "list:1")
    mark(table, share)
    assert sum(video.labelled for video in table) == math.ceil(share * count)


def test_the_demos_marks_are_those_of_its_file(tmp_path):
    for split in ("train", "val", "test"):
        lines = [f"{split}/{n}.mp4,m{n % 2},{str(n < 4).lower()}" for n in range(6)]
        text = "\n".join(["path,motion,labelled", *lines])
        (tmp_path / f"{split}.csv").write_text(text + "\n")
    write_labels(DataSettings(adapter="demo"), tmp_path, tmp_path, tmp_path / "l.csv", tmp_path / "l.json")
    names = [f"train/{n}" for n in range(6)]
    assert read_labels(tmp_path / "l.csv", names, 2).tolist() == [0, 1, 0, 1, 0, 1]
    assert read_labels(tmp_path / "l.csv", names, 2, marked_only=True).tolist() == [0, 1, 0, 1, -1, -1]


def test_training_videos_without_a_label_are_refused_or_kept(tmp_path):
    write_lists(tmp_path, ["a/0.mp4,run", "a/1.mp4,walk", "a/2.mp4,"])
    with pytest.raises(UserError, match=r"train\.csv:4: a/2\.mp4 has no label"):
        marks(tmp_path)
    found = marks(tmp_path, unlabelled="keep", labelled=1.0)
    assert found["a/2"] == (-1, "false")
    (tmp_path / "test.csv").write_text("path,label\nt/0.mp4,run\nt/1.mp4,\n")
    with pytest.raises(UserError, match=r"test\.csv:3: t/1\.mp4 has no label"):
        marks(tmp_path, unlabelled="keep")


def test_a_cut_takes_no_video_without_a_label(tmp_path):
    labelled = [f"a/{n}.mp4,{'run' if n % 2 else 'walk'}" for n in range(20)]
    write_lists(tmp_path, [*labelled, "u/0.mp4,", "u/1.mp4,"])
    (tmp_path / "val.csv").unlink()
    settings = DataSettings(adapter="csv", unlabelled="keep", val_fraction=0.5)
    videos, classes = find_adapter("csv")(settings, tmp_path, tmp_path)
    assert classes == ["run", "walk"]
    assert {video.split for video in videos if not video.label} == {"train"}
    assert sum(video.split == "val" for video in videos) == 10


def test_other_files_are_no_labels(tmp_path):
    (tmp_path / "x.csv").write_text("video_id,label_id\na,0\n")
    with pytest.raises(UserError, match=r"is not what list_labels writes"):
        read_labels(tmp_path / "x.csv", ["a"], 2)


def test_a_group_with_a_video_without_a_label_stays_in_train(tmp_path):
    rows = [f"a/{n}.mp4,{'run' if n % 2 else 'walk'},g{n // 4}" for n in range(24)]
    write_lists(tmp_path, [])
    (tmp_path / "train.csv").write_text("path,label,group\n" + "\n".join([*rows, "u/0.mp4,,g0"]) + "\n")
    (tmp_path / "val.csv").unlink()
    settings = DataSettings(adapter="csv", unlabelled="keep", val_fraction=0.5)
    videos, _ = find_adapter("csv")(settings, tmp_path, tmp_path)
    splits = {
        group: {v.split for v in videos if v.group == group} for group in {v.group for v in videos} - {""}
    }
    assert all(len(of) == 1 for of in splits.values())
    assert splits["g0"] == {"train"}
    assert {"val"} in splits.values()
