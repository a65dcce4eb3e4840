from __future__ import annotations

from collections import Counter

import pytest

from tests.data.adapters.trees import listed, probed, put_videos, write
from vidkd.errors import UserError


class TestUcf101:
    @pytest.fixture
    def tree(self, tmp_path):
        def clips(numbers):
            return [
                f"{c}/v_{c}_g{g:02d}_c0{k}.avi" for c in ("Archery", "YoYo") for g in numbers for k in (1, 2)
            ]

        train = [f"{name} {1 if 'Archery' in name else 2}\r\n" for name in clips(range(8, 18))]
        write(
            tmp_path,
            {
                "lists/classInd.txt": "2 Archery\r\n1 YoYo\r\n",
                "lists/trainlist02.txt": "".join(train),
                "lists/testlist02.txt": "".join(f"{name}\r\n" for name in clips(range(1, 3))),
            },
        )
        return tmp_path

    def list(self, tree, split=2):
        return listed(tree, "ucf101", "lists", official_split=split, val_fraction=0.2)

    def test_official_split(self, tree):
        videos, classes = self.list(tree)
        assert classes == ["YoYo", "Archery"], "the official order, not that of names"
        assert Counter(video.split for video in videos) == {"train": 32, "val": 8, "test": 8}
        groups = {split: {v.group for v in videos if v.split == split} for split in ("train", "val", "test")}
        assert not groups["train"] & groups["val"]
        assert groups["test"] == {"Archery_g01", "Archery_g02", "YoYo_g01", "YoYo_g02"}
        assert videos[0].video_id == "Archery/v_Archery_g01_c01"

    def test_other_official_split_is_missing(self, tree):
        with pytest.raises(UserError, match=r"trainlist03\.txt is missing"):
            self.list(tree, 3)

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("testlist02.txt", "clip.avi\n", r"testlist02\.txt:1: expected"),
            ("testlist02.txt", "Fly/v_Fly_g01_c01.avi\n", r"testlist02\.txt:1: label 'Fly'"),
            (
                "testlist02.txt",
                "YoYo/v_YoYo_g09_c07.avi\n",
                r"testlist02\.txt:1: group 'YoYo_g09' is in test",
            ),
            ("classInd.txt", "1 Archery\n2 YoYo\n3 Fly\n", "no training video has the label Fly"),
            ("classInd.txt", "Archery\n", r"classInd\.txt:1: expected"),
        ],
    )
    def test_bad_list_is_named(self, tree, name, text, message):
        write(tree / "lists", {name: text})
        with pytest.raises(UserError, match=message):
            self.list(tree)

    def test_real_videos_are_probed(self, tree):
        names = [
            f"{c}/v_{c}_g{g:02d}_c0{k}.avi" for c in ("Archery", "YoYo") for g in range(1, 18) for k in (1, 2)
        ]
        put_videos(tree / "UCF-101", names)
        (tree / "lists").rename(tree / "ucfTrainTestlist")
        rows = probed(tree / "UCF-101", "ucf101", "../ucfTrainTestlist", official_split=2)
        assert len(rows) == 48  # the groups 3 to 7 are in none of the two lists
        assert {(row["status"], row["codec"], row["frames"]) for row in rows.values()} == {
            ("ok", "mpeg4", "6")
        }
