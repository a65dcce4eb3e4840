from __future__ import annotations

from collections import Counter

import pytest

from tests.data.adapters.trees import NAMED, UNUSABLE, listed, probed, put_videos, write
from vidkd.errors import UserError

# Names as in the official lists: films with start and end, YouTube videos with a number or start and end.
TRAIN = [
    "1-1004/Bad.Boys.1995__#00-06-42_00-10-00_label_B2-0-0.mp4",
    "1-1004/Salt.2010__#01-26-40_01-28-10_label_B2-B1-B5.mp4",
    "1005-2004/Salt.2010__#01-31-17_01-31-45_label_B5-0-0.mp4",
    "1005-2004/Sin.City.2005__#0-15-15_0-16-11_label_B1-B2-B6.mp4",
    "1005-2004/Sin.City.2005__#0-36-50_0-37-08_label_G-B2-0.mp4",
    "2005-2804/Skyfall.2012__#02-01-38_02-02-00_label_B2-G-0.mp4",
    "2005-2804/Taken.3.2014__#01-40-55_01-41-17_label_B6-0-0.mp4",
    "2805-3319/Fury.2014__#00-07-30_00-07-58_label_G-0-0.mp4",
    "2805-3319/v=8cTqh9tMz_I__#1_label_A.mp4",
    "2805-3319/v=8cTqh9tMz_I__#2_label_A.mp4",
    "3320-3954/v=-etV57xZ4_I__#1_label_B4-0-0.mp4",
    "3320-3954/v=7G4IvR1vQ7M__#00-00-00_00-00-45_label_B1-0-0.mp4",
]
TEST = [
    "test_videos/Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6.mp4",
    "test_videos/Salt.2010__#01-06-27_01-07-07_label_G-B2-0.mp4",
    "test_videos/v=rKpXqwE2rg8__#00-01-57_00-03-06_label_A.mp4",
]
SEVEN = ["abuse", "car accident", "explosion", "fighting", "normal", "riot", "shooting"]


@pytest.fixture
def tree(tmp_path):
    write(tmp_path, dict.fromkeys([*TRAIN, *TEST], ""))
    return tmp_path


def test_a_name_in_two_folders(tree):
    write(tree, {"train/v=8cTqh9tMz_I__#1_label_A.mp4": ""})
    with pytest.raises(
        UserError, match=r"2805-3319/v=8cT.* and train/v=8cT.* are the same video: remove one"
    ):
        listed(tree, "xd_violence")


def label_of(videos):
    return {video.path: video.label for video in videos}


def test_real_videos_of_the_official_folders_are_probed(tmp_path):
    put_videos(tmp_path, [*TRAIN, *TEST])
    write(tmp_path, {"annotations.txt": "Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6 157 180\n"})
    put_videos(tmp_path, ["i3d/1-1004/v=x__#1_label_A.mp4"])
    rows = probed(tmp_path, "xd_violence")
    assert {row["path"] for row in rows.values()} == {*TRAIN, *TEST}
    assert {(row["status"], row["frames"]) for row in rows.values()} == {("ok", "6")}
    assert {row["path"] for row in rows.values() if row["split"] == "test"} == set(TEST)
    assert rows["test_videos/Salt.2010__#01-06-27_01-07-07_label_G-B2-0"]["label"] == "explosion"


def test_other_folders_of_the_splits(tmp_path):
    names = [f"train/{name}" for name in TRAIN] + [f"videos/{name.partition('/')[2]}" for name in TEST]
    write(tmp_path, dict.fromkeys(names, ""))
    videos, _ = listed(tmp_path, "xd_violence")
    assert {video.path for video in videos if video.split == "test"} == set(names[-3:])


def test_first_code(tree):
    videos, classes = listed(tree, "xd_violence")
    assert classes == SEVEN
    labels = label_of(videos)
    assert [labels[path] for path in TRAIN] == [
        *("shooting", "shooting", "abuse", "fighting", "explosion", "shooting", "car accident"),
        *("explosion", "normal", "normal", "riot", "fighting"),
    ]
    assert all(video.labels == video.label for video in videos)


def test_all_codes_together(tree):
    videos, classes = listed(tree, "xd_violence", compound="all")
    labels = label_of(videos)
    assert labels[TRAIN[4]] == labels[TRAIN[5]] == labels[TEST[1]] == "shooting + explosion"
    assert labels[TRAIN[1]] == "fighting + shooting + abuse"
    # No training video has shooting, car accident and explosion.
    assert labels[TEST[0]] == "explosion"
    assert classes == sorted({labels[path] for path in TRAIN})


def test_a_test_set_of_codes_without_training_video_and_without_its_first_class_is_refused(tree):
    (tree / TRAIN[10]).unlink()
    write(tree, {"test_videos/v=x__#1_label_B4-G-0.mp4": ""})
    with pytest.raises(UserError, match="label 'riot' is not one of the classes"):
        listed(tree, "xd_violence", compound="all")


def test_multi(tree):
    videos, classes = listed(tree, "xd_violence", compound="multi")
    assert classes == SEVEN
    assert label_of(videos) == label_of(listed(tree, "xd_violence")[0])
    labels = {video.path: video.labels for video in videos}
    assert [labels[path] for path in (TRAIN[0], TRAIN[1], TRAIN[8], TEST[0])] == [
        *("shooting", "shooting;fighting;abuse", "normal", "explosion;shooting;car accident")
    ]


def test_films_stay_together_and_may_be_in_test(tree):
    write(tree, {f"train/Film.{n // 3}__#{n}_label_{'A' if n % 2 else 'B1-0-0'}.mp4": "" for n in range(60)})
    videos, _ = listed(tree, "xd_violence", val_fraction=0.2)
    assert Counter(video.split for video in videos)["val"] >= 10
    films = {split: {v.group for v in videos if v.split == split} for split in ("train", "val", "test")}
    assert not films["train"] & films["val"]
    assert {"Salt.2010", "v=8cTqh9tMz_I", "v=-etV57xZ4_I", "Film.3"} <= films["train"] | films["val"]
    assert films["test"] == {""}


@pytest.mark.parametrize(
    "name",
    [
        "x__#1_label_B3-0-0",
        "x__#1_label_B1-X",
        "x__#1_label_0-0-0",
        "x__#1_label_",
        "x__#1",
        "holiday_label_a",
    ],
)
def test_a_name_without_known_codes(tree, name):
    write(tree, {f"1-1004/{name}.mp4": ""})
    with pytest.raises(
        UserError, match=r"expected a name like `v=.*, with codes from A, B1, B2, B4, B5, B6, G after"
    ):
        listed(tree, "xd_violence")


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_name_that_no_table_can_show_is_refused(tree, name):
    put_videos(tree, [f"1-1004/{name}"])
    with pytest.raises(UserError, match=NAMED):
        listed(tree, "xd_violence")


def test_other_folders_alone(tmp_path):
    write(tmp_path, {"clips/v=x__#1_label_A.mp4": ""})
    with pytest.raises(UserError, match="no train videos are listed"):
        listed(tmp_path, "xd_violence")
