from __future__ import annotations

from collections import Counter

import pytest

from tests.data.adapters.trees import listed, probed, put_videos, write
from vidkd.errors import UserError


class TestHmdb51:
    def tree(self, folder, extra=""):
        for label in ("ride_bike", "wave"):
            train = [f"#4_How_To_{n // 2}_{label}_u_cm_np1_ba_med_{n}.avi 1 \n" for n in range(10)]
            rest = f"Film_{label}_f_nm_np1_fr_med_0.avi 2 \nFilm_{label}_f_nm_np1_fr_med_1.avi 0 \n"
            write(folder, {f"lists/{label}_test_split1.txt": "".join(train) + rest + extra})
        return folder

    def test_official_split(self, tmp_path):
        videos, classes = listed(self.tree(tmp_path), "hmdb51", "lists", val_fraction=0.2)
        assert classes == ["ride_bike", "wave"]
        assert Counter(video.split for video in videos) == {"train": 16, "val": 4, "test": 2}
        assert [v.path for v in videos if v.split == "test"] == [
            f"{label}/Film_{label}_f_nm_np1_fr_med_0.avi" for label in classes
        ]
        films = {split: {v.group for v in videos if v.split == split} for split in ("train", "val")}
        assert films["train"] | films["val"] == {f"#4_How_To_{n}" for n in range(5)}
        assert not films["train"] & films["val"]

    def test_bad_mark_is_named(self, tmp_path):
        with pytest.raises(UserError, match=r"ride_bike_test_split1\.txt:13: expected"):
            listed(self.tree(tmp_path, "x.avi 3\n"), "hmdb51", "lists")

    def test_no_lists(self, tmp_path):
        with pytest.raises(UserError, match=r"no files \*_test_split2\.txt"):
            listed(self.tree(tmp_path), "hmdb51", "lists", official_split=2)

    def test_real_videos_are_probed(self, tmp_path):
        self.tree(tmp_path / "testTrainMulti_7030_splits")
        videos, _ = listed(tmp_path, "hmdb51", "testTrainMulti_7030_splits/lists")
        put_videos(tmp_path / "hmdb51_org", [video.path for video in videos])
        rows = probed(tmp_path / "hmdb51_org", "hmdb51", "../testTrainMulti_7030_splits/lists")
        assert {(row["status"], row["frames"]) for row in rows.values()} == {("ok", "6")}
        assert rows["wave/#4_How_To_0_wave_u_cm_np1_ba_med_0"]["path"].endswith("_med_0.avi")
