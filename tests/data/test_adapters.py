from __future__ import annotations

import csv
import json
import os
import zlib
from collections import Counter
from pathlib import Path

import pytest

from vidkd.config.data import DataSettings
from vidkd.data.adapters.base import Video, cut_validation
from vidkd.data.adapters.registry import ADAPTERS, find_adapter, write_listing
from vidkd.errors import UserError

DEMO = "path,motion,shape,texture,colour,labelled,group\n"


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def demo_tree(folder, **changes):
    files = {
        "train.csv": DEMO + "train/0.mp4,left,star,plain,red,1,\ntrain/1.mp4,right,disc,plain,red,0,\n",
        "val.csv": DEMO + "val/0.mp4,left,star,plain,red,0,\n",
        "test.csv": DEMO + "test/0.mp4,right,disc,plain,red,0,\n",
    }
    write(folder, files | {f"{split}.csv": text for split, text in changes.items()})


def listed(folder, adapter="demo", annotations="", **settings):
    return find_adapter(adapter)(DataSettings(adapter=adapter, **settings), folder, folder / annotations)


def rows(videos):
    return [(video.video_id, video.path, video.label, video.split, video.group) for video in videos]


def test_every_adapter_named_in_the_settings_exists():
    assert set(ADAPTERS) == set(DataSettings.model_fields["adapter"].annotation.__args__)
    assert all(callable(find_adapter(name)) for name in ADAPTERS)
    with pytest.raises(UserError, match="'other' is not known"):
        find_adapter("other")


class TestDemo:
    def test_label_is_the_chosen_attribute(self, tmp_path):
        demo_tree(tmp_path)
        videos, classes = listed(tmp_path)
        assert classes == ["left", "right"]
        assert rows(videos) == [
            ("test/0", "test/0.mp4", "right", "test", ""),
            ("train/0", "train/0.mp4", "left", "train", ""),
            ("train/1", "train/1.mp4", "right", "train", ""),
            ("val/0", "val/0.mp4", "left", "val", ""),
        ]
        assert listed(tmp_path, label="shape")[1] == ["disc", "star"]

    def test_absolute_path_inside_the_root_becomes_relative(self, tmp_path):
        demo_tree(tmp_path, test=DEMO + f"{tmp_path}/test/0.mp4,right,disc,plain,red,0,\n")
        assert listed(tmp_path)[0][0].path == "test/0.mp4"

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("../x.mp4,left,a,b,c,1,", r"train\.csv:3: \.\./x\.mp4 is not inside"),
            ("/elsewhere/x.mp4,left,a,b,c,1,", r"train\.csv:3: /elsewhere/x\.mp4 is not inside"),
            ("link/x.mp4,left,a,b,c,1,", r"train\.csv:3: .* is a link that leaves"),
            (
                "train/0.avi,left,a,b,c,1,",
                r"train\.csv:3: video 'train/0' was already listed at .*train\.csv:2",
            ),
            ("train/2.mp4,,a,b,c,1,", r"train\.csv:3: train/2\.mp4 has no label"),
        ],
    )
    def test_bad_line_is_named(self, tmp_path, line, message):
        root = tmp_path / "root"
        (tmp_path / "outside").mkdir()
        demo_tree(root, train=DEMO + f"train/0.mp4,left,a,b,c,1,\n{line}\n")
        (root / "link").symlink_to(tmp_path / "outside")
        with pytest.raises(UserError, match=message):
            listed(root)

    def test_label_unknown_in_training_is_an_error(self, tmp_path):
        demo_tree(tmp_path, test=DEMO + "\ntest/0.mp4,up,disc,plain,red,0,\n")
        with pytest.raises(UserError, match=r"test\.csv:3: label 'up'"):
            listed(tmp_path)

    def test_group_in_two_splits_is_an_error(self, tmp_path):
        line = "x/{}.mp4,left,a,b,c,1,scene 7\n"
        demo_tree(tmp_path, train=DEMO + line.format(0), test=DEMO + line.format(1))
        with pytest.raises(
            UserError, match=r"test\.csv:2: group 'scene 7' is in test here and in train at .*csv:2"
        ):
            listed(tmp_path)

    def test_missing_split_file_is_named(self, tmp_path):
        demo_tree(tmp_path)
        (tmp_path / "test.csv").unlink()
        with pytest.raises(UserError, match=r"test\.csv is missing"):
            listed(tmp_path)

    def test_split_file_without_videos_is_named(self, tmp_path):
        demo_tree(tmp_path, test=DEMO)
        with pytest.raises(UserError, match="no test videos"):
            listed(tmp_path)

    def test_missing_column_is_named(self, tmp_path):
        demo_tree(tmp_path)
        with pytest.raises(UserError, match=r"train\.csv has no column 'speed'"):
            listed(tmp_path, label="speed")

    def test_file_that_is_no_text_is_named(self, tmp_path):
        demo_tree(tmp_path)
        (tmp_path / "train.csv").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(UserError, match=r"train\.csv cannot be read as text"):
            listed(tmp_path)


class TestCsv:
    @pytest.mark.parametrize(
        ("line", "path", "label", "group"),
        [
            ("videos/x.mp4 LABEL", "videos/x.mp4", "LABEL", ""),
            ("videos/x.mp4 opening a door, slowly", "videos/x.mp4", "opening a door, slowly", ""),
            ("videos/x.mp4\t7", "videos/x.mp4", "7", ""),
            ("my videos/x.mp4,two words", "my videos/x.mp4", "two words", ""),
            ('x.mp4,"a, ""b""",scene 3', "x.mp4", 'a, "b"', "scene 3"),
            ("été/x.mp4,marché", "été/x.mp4", "marché", ""),
        ],
    )
    def test_both_separators(self, tmp_path, line, path, label, group):
        write(
            tmp_path,
            {"train.csv": f"{line}\n\n", "val.csv": "v.mp4," + f'"{label.replace(chr(34), chr(34) * 2)}"'},
        )
        write(tmp_path, {"test.csv": (tmp_path / "val.csv").read_text().replace("v.mp4", "t.mp4")})
        videos, classes = listed(tmp_path, "csv")
        video = next(video for video in videos if video.split == "train")
        assert (video.path, video.label, video.group) == (path, label, group)
        assert classes == [label]

    def test_line_of_one_word_is_an_error(self, tmp_path):
        write(tmp_path, {"train.csv": "a.mp4 walk\n\nb.mp4\n", "test.csv": "c.mp4 walk\n"})
        with pytest.raises(UserError, match=r"train\.csv:3: expected"):
            listed(tmp_path, "csv")

    def test_without_val_one_is_cut_from_train(self, tmp_path):
        train = "".join(f"{label}/{n}.mp4,{label},{label}{n // 2}\n" for label in "ab" for n in range(10))
        write(tmp_path, {"train.csv": train, "test.csv": "t.mp4 a\n"})
        videos, _ = listed(tmp_path, "csv", val_fraction=0.2)
        assert Counter(video.split for video in videos) == {"train": 16, "val": 4, "test": 1}


MIXED = [
    Video(f"{n:02d}", f"{n:02d}.mp4", "abc"[n % 3], "train", f"g{n // 4}" if n < 20 else "")
    for n in range(40)
]


class TestCutValidation:
    def cut(self, videos, fraction=0.3, seed=0):
        return {video.video_id for video in cut_validation(videos, fraction, seed) if video.split == "val"}

    def test_groups_stay_together(self):
        val = self.cut(MIXED)
        assert len(val) == 12
        for group in range(5):
            members = {video.video_id for video in MIXED if video.group == f"g{group}"}
            assert members <= val or not members & val

    def test_seed_decides_and_order_does_not(self):
        assert self.cut(MIXED) == self.cut(MIXED[::-1])
        assert len({frozenset(self.cut(MIXED, seed=seed)) for seed in range(8)}) > 1

    @pytest.mark.parametrize("size", [1, 4])
    def test_one_video_more_moves_the_marginal_group_only(self, size):
        videos = [
            Video(f"{n:03d}", f"{n}.mp4", "abc"[n % 3], "train", f"g{n // size}" if size > 1 else "")
            for n in range(200)
        ]
        before = self.cut(videos, 0.1)
        assert len(before) == 20
        for number in range(50):
            after = self.cut([*videos, Video(f"new{number}", "new.mp4", "a", "train")], 0.1)
            assert len(after) == (20 if size == 1 else len(after))
            assert len(before ^ after) <= (2 if size == 1 else size + 3)
            assert abs(len(after) - 20) < size

    def test_a_class_keeps_a_training_video(self):
        videos = [Video(f"{n}", f"{n}.mp4", label, "train") for n, label in enumerate("aaaaaaaabc")]
        assert self.cut(videos, 0.9) < {f"{n}" for n in range(8)}

    def test_test_videos_stay(self):
        videos = [*MIXED, Video("t", "t.mp4", "a", "test", "")]
        assert "t" not in self.cut(videos, 0.9)


class TestFolder:
    def test_directories_are_splits_and_classes(self, tmp_path):
        names = ["train/run/a.mp4", "train/walk/b.AVI", "val/run/c.mkv", "test/walk/deep/d.webm"]
        write(tmp_path, dict.fromkeys([*names, "train/run/notes.txt", "train/stray.mp4"], ""))
        videos, classes = listed(tmp_path, "folder")
        assert classes == ["run", "walk"]
        assert sorted(video.path for video in videos) == sorted(names)
        assert {video.path: (video.label, video.split) for video in videos}[names[3]] == ("walk", "test")

    def test_missing_test_directory(self, tmp_path):
        write(tmp_path, {"train/run/a.mp4": ""})
        with pytest.raises(UserError, match="test is missing"):
            listed(tmp_path, "folder")

    @pytest.mark.parametrize("name", [b"\xff.mp4", b"caf\xe9/a.mp4"])
    def test_a_name_that_is_not_utf8(self, tmp_path, name):
        write(tmp_path, dict.fromkeys(["train/run/a.mp4", "test/run/b.mp4"], ""))
        odd = Path(os.fsdecode(os.fsencode(tmp_path / "train/run") + b"/" + name))
        odd.parent.mkdir(exist_ok=True)
        odd.touch()
        with pytest.raises(UserError, match=r"the name 'train/run/.*\\udc.* is not UTF-8: rename") as raised:
            listed(tmp_path, "folder")
        str(raised.value).encode()

    def test_class_of_test_only(self, tmp_path):
        write(tmp_path, dict.fromkeys(["train/run/a.mp4", "test/fly/b.mp4"], ""))
        with pytest.raises(UserError, match=r"b\.mp4: label 'fly'"):
            listed(tmp_path, "folder")


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
                "lists/classInd.txt": "1 Archery\r\n2 YoYo\r\n",
                "lists/trainlist02.txt": "".join(train),
                "lists/testlist02.txt": "".join(f"{name}\r\n" for name in clips(range(1, 3))),
            },
        )
        return tmp_path

    def list(self, tree, split=2):
        return listed(tree, "ucf101", "lists", official_split=split, val_fraction=0.2)

    def test_official_split(self, tree):
        videos, classes = self.list(tree)
        assert classes == ["Archery", "YoYo"]
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


class TestSsv2:
    def tree(self, folder, prefix="", **changes):
        templates = ["Holding [something] next to [something]", "Pushing [something] so it falls"]
        train = [
            {"id": str(n), "label": "x", "template": templates[n % 2], "placeholders": []} for n in range(20)
        ]
        files = {
            "train": train,
            "validation": [{"id": "900", "template": templates[1]}],
            "labels": {"Holding something next to something": "0", "Pushing something so it falls": "1"},
        }
        write(
            folder,
            {f"labels/{prefix}{name}.json": json.dumps(value) for name, value in (files | changes).items()},
        )
        return folder

    @pytest.mark.parametrize("prefix", ["", "something-something-v2-"])
    def test_official_validation_is_test(self, tmp_path, prefix):
        videos, classes = listed(self.tree(tmp_path, prefix), "ssv2", "labels", val_fraction=0.1)
        assert classes == ["Holding something next to something", "Pushing something so it falls"]
        assert Counter(video.split for video in videos) == {"train": 18, "val": 2, "test": 1}
        assert rows(v for v in videos if v.split == "test") == [("900", "900.webm", classes[1], "test", "")]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"validation": [{"id": "900"}]}, r"validation\.json: entry 1: expected"),
            (
                {"validation": [{"id": "3", "template": "Pushing [something] so it falls"}]},
                "video '3' was already",
            ),
            (
                {"validation": [{"id": "900", "template": "Flying"}]},
                r"validation\.json: entry 1: label 'Flying'",
            ),
            (
                {"labels": {"Holding something next to something": "0"}},
                r"train\.json: entry 2: label 'Pushing",
            ),
        ],
    )
    def test_bad_entry_is_named(self, tmp_path, changes, message):
        with pytest.raises(UserError, match=message):
            listed(self.tree(tmp_path, **changes), "ssv2", "labels")

    def test_missing_file_is_named(self, tmp_path):
        (self.tree(tmp_path) / "labels/labels.json").unlink()
        with pytest.raises(UserError, match=r"cannot read .*labels\.json"):
            listed(tmp_path, "ssv2", "labels")


class TestWriteListing:
    def write(self, folder, n_shards=3):
        settings = DataSettings(n_shards=n_shards)
        return write_listing(settings, folder, folder, folder / "out", folder / "out/classes.json")

    def test_shards_hold_every_video_once(self, tmp_path):
        demo_tree(
            tmp_path, train=DEMO + "".join(f'train/{n}.mp4,"left, ""so""",s,p,r,0,\n' for n in range(30))
        )
        (tmp_path / "val.csv").write_text(DEMO + 'val/0.mp4,"left, ""so""",s,p,r,0,\n')
        (tmp_path / "test.csv").write_text(DEMO + 'test/0.mp4,"left, ""so""",s,p,r,0,\n')
        assert self.write(tmp_path) == 32
        seen = []
        for shard in range(3):
            with (tmp_path / f"out/shard_{shard}.csv").open(newline="") as file:
                ids = [row["video_id"] for row in csv.DictReader(file) if row["label"] == 'left, "so"']
            assert ids == sorted(ids)
            assert all(zlib.crc32(name.encode()) % 3 == shard for name in ids)
            seen += ids
        assert len(seen) == len(set(seen)) == 32
        assert json.loads((tmp_path / "out/classes.json").read_text()) == ['left, "so"']

    def test_same_content_gives_the_same_bytes_and_a_new_video_moves_none(self, tmp_path):
        demo_tree(tmp_path)
        self.write(tmp_path)
        before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
        self.write(tmp_path)
        assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before
        with (tmp_path / "train.csv").open("a") as file:
            file.write("train/2.mp4,left,star,plain,red,1,\n")
        self.write(tmp_path)
        home = f"shard_{zlib.crc32(b'train/2') % 3}.csv"
        changed = [name for name, old in before.items() if (tmp_path / "out" / name).read_bytes() != old]
        assert changed == [home]

    def test_empty_shard_has_a_header(self, tmp_path):
        demo_tree(tmp_path)
        self.write(tmp_path, n_shards=50)
        texts = {file.read_text() for file in (tmp_path / "out").glob("shard_*.csv")}
        assert "video_id,path,label,split,group\n" in texts
