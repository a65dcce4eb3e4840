from __future__ import annotations

from collections import Counter

import pytest

from tests.data.adapters.trees import listed, probed, put_videos, write
from vidkd.errors import UserError

HEADER = "label,youtube_id,time_start,time_end,split\n"
CLASSES = ["playing guitar", "shooting goal (soccer)"]
OFFICIAL = {
    "train.csv": HEADER + "".join(f"{CLASSES[n % 2]},-id_{n:07d},{n},{n + 10},train\n" for n in range(20)),
    "val.csv": HEADER
    + '"playing guitar",abcdefghijk,7,17,val\n"shooting goal (soccer)",ABCDEFGHIJK,100,110,val\n',
}
VAL = ["abcdefghijk_000007_000017", "ABCDEFGHIJK_000100_000110"]


def name(number):
    return f"-id_{number:07d}_{number:06d}_{number + 10:06d}"


def test_official_validation_is_test(tmp_path):
    write(tmp_path, {f"annotations/{file}": text for file, text in OFFICIAL.items()})
    videos, classes = listed(tmp_path, "kinetics", "annotations")
    assert classes == CLASSES
    assert Counter(video.split for video in videos) == {"train": 18, "val": 2, "test": 2}
    assert [video.video_id for video in videos if video.split == "test"] == VAL[::-1]
    assert {video.path for video in videos if video.split == "test"} == {
        f"val/playing guitar/{VAL[0]}.mp4",
        f"val/shooting goal (soccer)/{VAL[1]}.mp4",
    }


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train/{}.mp4", "val/{}.mp4"),
        ("train/playing guitar/{}.mp4", "validate/shooting goal (soccer)/{}.mp4"),
        ("videos_train/playing_guitar/{}.mkv", "videos_val/shooting_goal_(soccer)/{}.webm"),
        ("{}.mp4", "{}.mp4"),
    ],
    ids=["cvdf", "classes", "mmaction2", "flat"],
)
def test_real_videos_of_every_layout_are_probed(tmp_path, train, val):
    there = [train.format(name(n)) for n in range(17)] + [val.format(VAL[1])]
    put_videos(tmp_path / "k400", there)
    write(tmp_path, {f"k400/annotations/{file}": text for file, text in OFFICIAL.items()})
    rows = probed(tmp_path / "k400", "kinetics", "annotations")
    assert len(rows) == 22
    assert {row["path"] for row in rows.values() if row["status"] == "ok"} == set(there)
    assert {key for key, row in rows.items() if row["reason"] == "missing"} == {
        VAL[0],
        *map(name, range(17, 20)),
    }


def test_clips_of_one_youtube_video_stay_together(tmp_path):
    train = HEADER + "".join(f"{CLASSES[n % 2]},id{n // 4},{n},{n + 10},train\n" for n in range(40))
    write(tmp_path, OFFICIAL | {"train.csv": train})
    videos, _ = listed(tmp_path, "kinetics", val_fraction=0.2)
    assert Counter(video.split for video in videos) == {"train": 32, "val": 8, "test": 2}
    assert len({(video.group, video.split) for video in videos if video.group}) == 10


def test_other_names_more_columns_and_windows_line_ends(tmp_path):
    train = OFFICIAL["train.csv"].replace(",split\n", ",split,is_cc\n").replace(",train\n", ",train,0\n")
    files = {
        "kinetics-400_train.csv": train.replace("\n", "\r\n"),
        "kinetics-400_val.csv": OFFICIAL["val.csv"],
    }
    write(tmp_path, files | {"kinetics-400_test.csv": "youtube_id,time_start,time_end,split\nx,1,11,test\n"})
    before = listed(tmp_path, "kinetics")
    (tmp_path / "kinetics-400_val.csv").rename(tmp_path / "validate.csv")
    assert listed(tmp_path, "kinetics") == before
    assert before[1] == CLASSES


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"train.csv": "label,youtube_id\na,b\n"},
            r"train\.csv:2: expected the columns label, youtube_id, time_start",
        ),
        (
            {"val.csv": HEADER + "playing guitar,b,1.5,11,val\n"},
            r"val\.csv:2: time_start and time_end are not whole",
        ),
        (
            {"val.csv": HEADER + "yodelling,b,1,11,val\n"},
            r"val\.csv:2: label 'yodelling' is not one of the classes",
        ),
        ({"val.csv": HEADER + ",b,1,11,val\n"}, r"val\.csv:2: .* has no label"),
        (
            {"val.csv": HEADER + f"{CLASSES[0]},-id_0000003,3,13,val\n"},
            r"val\.csv:2: .*train\.csv:5 have the same id '-id_0000003_000003_000013': rename",
        ),
        (
            {"k_val.csv": HEADER},
            r"has 2 files \*val\.csv or \*validate\.csv or \*validation\.csv, and one is needed",
        ),
    ],
)
def test_mistakes_are_named(tmp_path, files, message):
    write(tmp_path, OFFICIAL | files)
    with pytest.raises(UserError, match=message):
        listed(tmp_path, "kinetics")


def test_missing_list(tmp_path):
    write(tmp_path, {"train.csv": OFFICIAL["train.csv"]})
    with pytest.raises(UserError, match=r"has 0 files \*val\.csv"):
        listed(tmp_path, "kinetics")
