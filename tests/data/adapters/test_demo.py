from __future__ import annotations

import pytest

from tests.data.adapters.trees import listed, probed, put_videos, write
from vidkd.errors import UserError

DEMO = "path,motion,shape,texture,colour,labelled,group\n"


def demo_tree(folder, **changes):
    files = {
        "train.csv": DEMO + "train/0.mp4,left,star,plain,red,1,\ntrain/1.mp4,right,disc,plain,red,0,\n",
        "val.csv": DEMO + "val/0.mp4,left,star,plain,red,0,\n",
        "test.csv": DEMO + "\ntest/0.mp4,right,disc,plain,red,0,scene 7\n",
    }
    write(folder, files | {f"{split}.csv": text for split, text in changes.items()})


class TestDemo:
    def test_label_is_the_chosen_attribute(self, tmp_path):
        demo_tree(tmp_path)
        videos, classes = listed(tmp_path, "demo")
        assert classes == ["left", "right"]
        assert [(v.video_id, v.path, v.label, v.split, v.group) for v in videos] == [
            ("test/0", "test/0.mp4", "right", "test", "scene 7"),
            ("train/0", "train/0.mp4", "left", "train", ""),
            ("train/1", "train/1.mp4", "right", "train", ""),
            ("val/0", "val/0.mp4", "left", "val", ""),
        ]
        assert listed(tmp_path, "demo", label="shape")[1] == ["disc", "star"]

    def test_real_videos_are_probed(self, tmp_path):
        demo_tree(tmp_path)
        put_videos(tmp_path, ["train/0.mp4", "train/1.mp4", "val/0.mp4", "test/0.mp4"])
        rows = probed(tmp_path, "demo", label="texture")
        assert {row["frames"] for row in rows.values()} == {"6"}
        assert {row["labels"] for row in rows.values()} == {"plain"}

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("../x.mp4,left,a,b,c,1,", r"train\.csv:3: \.\./x\.mp4 is not inside"),
            (
                "train/0.avi,left,a,b,c,1,",
                r"train\.csv:3: train/0\.avi and train/0\.mp4 at .*train\.csv:2 have the same id 'train/0'",
            ),
            ("train/2.mp4,,a,b,c,1,", r"train\.csv:3: train/2\.mp4 has no label"),
        ],
    )
    def test_bad_line_is_named(self, tmp_path, line, message):
        demo_tree(tmp_path, train=DEMO + f"train/0.mp4,left,a,b,c,1,\n{line}\n")
        with pytest.raises(UserError, match=message):
            listed(tmp_path, "demo")

    def test_split_file_without_videos_is_named(self, tmp_path):
        demo_tree(tmp_path, test=DEMO)
        with pytest.raises(UserError, match="no test videos"):
            listed(tmp_path, "demo")

    def test_missing_column_is_named(self, tmp_path):
        demo_tree(tmp_path)
        with pytest.raises(UserError, match=r"train\.csv has no column 'speed'"):
            listed(tmp_path, "demo", label="speed")
