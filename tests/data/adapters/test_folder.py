from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.data.adapters.trees import listed, probed, put_videos, splits, write
from vidkd.data.adapters.folder import watched_folders
from vidkd.errors import UserError


def put_images(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(np.full((24, 32, 3), 90, np.uint8)).save(folder / name)


class TestSplitDirectories:
    def test_directories_are_splits_and_classes(self, tmp_path):
        names = ["train/run/a.mp4", "train/walk/b.AVI", "val/run/c.mkv", "test/walk/deep/d.webm"]
        put_videos(tmp_path, names)
        write(tmp_path, dict.fromkeys(["train/run/notes.txt", "train/stray.mp4", "train/run/._a.mp4"], ""))
        write(tmp_path, dict.fromkeys(["train/.cache/a.mp4", "annotations/run/a.mp4"], ""))
        rows = probed(tmp_path, "folder")
        assert {(row["path"], row["label"], row["split"], row["frames"]) for row in rows.values()} == {
            ("train/run/a.mp4", "run", "train", "6"),
            ("train/walk/b.AVI", "walk", "train", "6"),
            ("val/run/c.mkv", "run", "val", "6"),
            ("test/walk/deep/d.webm", "walk", "test", "6"),
        }

    @pytest.mark.parametrize("name", ["valid", "validation"])
    def test_other_names_of_val(self, tmp_path, name):
        put_videos(tmp_path, ["train/run/a.mp4", f"{name}/run/b.mp4", "test/run/c.mp4"])
        assert splits(listed(tmp_path, "folder")[0])[f"{name}/run/b.mp4"] == "val"

    def test_without_val_one_is_cut_from_train(self, tmp_path):
        write(tmp_path, dict.fromkeys([*(f"train/run/{n}.mp4" for n in range(20)), "test/run/a.mp4"], ""))
        videos, _ = listed(tmp_path, "folder")
        assert Counter(video.split for video in videos) == {"train": 18, "val": 2, "test": 1}

    @pytest.mark.parametrize("file", ["val/notes.txt", "val/run/notes.txt", "Valid/run/deep/notes.txt"])
    def test_a_val_without_videos_is_not_taken_for_none(self, tmp_path, file):
        put_videos(tmp_path, [*(f"train/run/{n}.mp4" for n in range(10)), "test/run/a.mp4"])
        write(tmp_path, {file: ""})
        with pytest.raises(
            UserError, match=rf"/{file.partition('/')[0]} has no video: fill it, or remove it"
        ):
            listed(tmp_path, "folder")

    @pytest.mark.parametrize(
        "names",
        [
            ["train/run"],
            ["train/run", "val/run"],
            ["test/run", "val/run"],
            ["train/run", "test/run", "val/run", "valid/run"],
        ],
    )
    def test_other_sets_of_splits_are_refused(self, tmp_path, names):
        write(tmp_path, {f"{name}/a.mp4": "" for name in names})
        with pytest.raises(UserError, match="`folder` expects train and test, perhaps val, or the classes"):
            listed(tmp_path, "folder")

    def test_class_of_test_only(self, tmp_path):
        write(tmp_path, dict.fromkeys(["train/run/a.mp4", "train/run/c.mp4", "test/fly/b.mp4"], ""))
        with pytest.raises(UserError, match=r"b\.mp4: label 'fly'"):
            listed(tmp_path, "folder")

    def test_folders_of_one_name_in_two_splits_are_two_groups(self, tmp_path):
        write(
            tmp_path,
            {f"{split}/run/part1/{split}{n}.mp4": "" for split in ("train", "test") for n in range(2)},
        )
        write(tmp_path, {"train/run/part2/x.mp4": ""})
        videos, _ = listed(tmp_path, "folder", val_fraction=0.4)
        assert {(video.group, video.split) for video in videos if video.group} in (
            {("train/run/part1", "val"), ("train/run/part2", "train"), ("test/run/part1", "test")},
            {("train/run/part1", "train"), ("train/run/part2", "val"), ("test/run/part1", "test")},
        )

    def test_split_directories_in_capitals(self, tmp_path):
        write(
            tmp_path, {f"{split}/{label}/x.mp4": "" for split in ("Train", "VAL", "Test") for label in "ab"}
        )
        videos, classes = listed(tmp_path, "folder")
        assert classes == ["a", "b"]
        assert splits(videos) == {
            f"{split}/{label}/x.mp4": split.lower() for split in ("Train", "VAL", "Test") for label in "ab"
        }

    @pytest.mark.parametrize(
        ("link", "to"), [("test", "train"), ("train/b", "train/a"), ("test/a", "train/a")]
    )
    def test_links_to_folders(self, tmp_path, link, to):
        write(tmp_path, {"train/a/x.mp4": "", "train/c/x.mp4": ""})
        if link != "test":
            write(tmp_path, {"test/c/x.mp4": ""})
        (tmp_path / link).symlink_to(tmp_path / to)
        with pytest.raises(UserError, match=f"{link} is a link, so its videos may be listed twice"):
            listed(tmp_path, "folder")


class TestClassesAlone:
    @pytest.fixture
    def tree(self, tmp_path):
        write(tmp_path, {f"{label}/{n:02d}.mp4": "" for label in ("run", "train") for n in range(50)})
        write(tmp_path, {"README.txt": ""})
        return tmp_path

    def test_splits_are_cut(self, tree):
        videos, classes = listed(tree, "folder", test_fraction=0.3)
        assert classes == ["run", "train"]
        assert Counter(video.split for video in videos) == {"train": 62, "val": 8, "test": 30}
        assert {video.label for video in videos if video.split == "test"} == {"run", "train"}

    def test_seed_decides(self, tree):
        before = splits(listed(tree, "folder")[0])
        assert splits(listed(tree, "folder")[0]) == before
        assert splits(listed(tree, "folder", split_seed=1)[0]) != before

    def test_a_video_more_moves_few(self, tree):
        before = splits(listed(tree, "folder")[0])
        write(tree, {"run/new.mp4": ""})
        after = splits(listed(tree, "folder")[0])
        assert sum(before[path] != after[path] for path in before) <= 3

    def test_folders_below_a_class_stay_together(self, tmp_path):
        write(tmp_path, {f"{c}/person_{p}/{n}.mp4": "" for c in "ab" for p in range(10) for n in range(4)})
        videos, _ = listed(tmp_path, "folder")
        assert Counter(video.split for video in videos) == {"train": 56, "val": 8, "test": 16}
        assert len({(video.group, video.split) for video in videos}) == 20

    def test_classes_of_one_folder_each_cannot_be_cut(self, tmp_path):
        write(tmp_path, {f"{c}/all/{n}.mp4": "" for c in "ab" for n in range(10)})
        with pytest.raises(UserError, match="no test split can be cut from the 20 videos"):
            listed(tmp_path, "folder")

    def test_a_class_without_videos(self, tree):
        write(tree, {"empty/notes.txt": ""})
        with pytest.raises(UserError, match=r"empty has no video: add those of this class, or move it"):
            listed(tree, "folder")

    def test_no_videos(self, tmp_path):
        with pytest.raises(UserError, match="no train videos are listed"):
            listed(tmp_path, "folder")

    def test_no_root(self, tmp_path):
        with pytest.raises(UserError, match=r"cannot list .*absent"):
            listed(tmp_path / "absent", "folder")


class TestImages:
    def test_a_folder_of_images_is_a_video(self, tmp_path):
        for split in ("train", "val", "test"):
            put_images(tmp_path, [f"{split}/run/film.1995/{n}.png" for n in range(1, 5)])
            put_images(tmp_path, [f"{split}/run/one/one_frame_{n:02d}.jpg" for n in range(3)])
        rows = probed(tmp_path, "folder")
        assert {
            (row["video_id"], row["path"], row["frames"]) for row in rows.values() if row["split"] == "val"
        } == {
            ("val/run/film.1995", "val/run/film.1995", "4"),
            ("val/run/one", "val/run/one", "3"),
        }

    def test_images_of_one_prefix_are_a_video(self, tmp_path):
        for split in ("train", "val", "test"):
            names = [f"{split}/run/video_{v:03d}_frame_{n:02d}.jpg" for v in range(2) for n in range(3)]
            put_images(tmp_path, [*names, f"{split}/run/poster.jpg", f"{split}/run/more/a_frame_0.png"])
            put_images(tmp_path, [f"{split}/run/more/b_frame_0.png"])
        rows = probed(tmp_path, "folder")
        assert {
            (row["path"], row["group"], row["frames"]) for row in rows.values() if row["split"] == "test"
        } == {
            ("test/run/video_000", "", "3"),
            ("test/run/video_001", "", "3"),
            ("test/run/more/a", "test/run/more", "1"),
            ("test/run/more/b", "test/run/more", "1"),
        }

    def test_images_beside_videos_are_none(self, tmp_path):
        put_videos(tmp_path, [f"{split}/run/more/a.mp4" for split in ("train", "val", "test")])
        put_images(tmp_path, ["train/run/more/a.jpg", "train/run/more/b.jpg"])
        assert len(listed(tmp_path, "folder")[0]) == 3

    def test_frames_beside_their_video_are_the_same_video(self, tmp_path):
        put_videos(tmp_path, ["train/run/a.mp4", "test/run/b.mp4"])
        put_images(tmp_path, ["train/run/a_frame_00.jpg"])
        with pytest.raises(UserError, match=r"train/run/a and train/run/a\.mp4 .* have the same id"):
            listed(tmp_path, "folder")


class TestNames:
    @pytest.mark.parametrize("name", [b"\xff.mp4", b"caf\xe9/a.mp4"])
    def test_a_name_that_is_not_utf8(self, tmp_path, name):
        write(tmp_path, dict.fromkeys(["train/run/a.mp4", "test/run/b.mp4"], ""))
        odd = Path(os.fsdecode(os.fsencode(tmp_path / "train/run") + b"/" + name))
        odd.parent.mkdir(exist_ok=True)
        odd.touch()
        with pytest.raises(UserError, match=r"the name 'train/run/.*\\udc.* is not UTF-8: rename") as raised:
            listed(tmp_path, "folder")
        str(raised.value).encode()

    @pytest.mark.parametrize("name", ["train/ru\nn/a.mp4", "train/run/a\nb.mp4", "train/run/a\r.mp4"])
    def test_a_name_with_a_line_end(self, tmp_path, name):
        write(tmp_path, dict.fromkeys([name, "train/run/b.mp4", "test/run/b.mp4"], ""))
        with pytest.raises(UserError, match="has a line end or another control character: rename it"):
            listed(tmp_path, "folder")

    @pytest.mark.parametrize("name", [b"ru\nn", b"r\xfcn"])
    @pytest.mark.parametrize("kind", ["empty", "link"])
    def test_a_class_of_such_a_name_is_refused_for_its_name(self, tmp_path, name, kind):
        put_videos(tmp_path, ["train/run/b.mp4", "test/run/b.mp4"])
        odd = Path(os.fsdecode(os.fsencode(tmp_path / "train") + b"/" + name))
        odd.symlink_to(tmp_path / "train/run") if kind == "link" else odd.mkdir()
        with pytest.raises(
            UserError, match=r"is not UTF-8: rename|or another control character: rename"
        ) as raised:
            listed(tmp_path, "folder")
        assert str(raised.value).encode().isascii()
        assert "\n" not in str(raised.value)

    def test_blanks_quotes_and_commas_come_through(self, tmp_path):
        names = ['train/ru "n", fast/ a.mp4', 'val/ru "n", fast/b, c.mp4', 'test/ru "n", fast/it\'s.mp4']
        put_videos(tmp_path, names)
        rows = probed(tmp_path, "folder")
        assert {row["path"]: row["frames"] for row in rows.values()} == dict.fromkeys(names, "6")
        assert {row["label"] for row in rows.values()} == {'ru "n", fast'}

    def test_a_linked_folder_is_refused(self, tmp_path):
        write(tmp_path, dict.fromkeys(["train/run/a/x.mp4", "test/run/b.mp4"], ""))
        (tmp_path / "test/run/c").symlink_to(tmp_path / "train/run/a")
        with pytest.raises(UserError, match="test/run/c is a link to a folder"):
            listed(tmp_path, "folder")


class TestWatchedFolders:
    def watched(self, folder):
        return sorted(os.path.relpath(found, folder) for found in watched_folders(folder))

    def test_split_directories(self, tmp_path):
        write(
            tmp_path,
            dict.fromkeys(
                ["train/run/deep/a.mp4", "train/walk/b.mp4", "test/run/c.mp4", "other/x/d.mp4"], ""
            ),
        )
        assert self.watched(tmp_path) == [
            *(".", "test", "test/run", "train", "train/run", "train/run/deep", "train/walk")
        ]

    def test_classes_alone(self, tmp_path):
        write(tmp_path, dict.fromkeys(["run/deep/a.mp4", "walk/b.mp4", ".git/c/d.mp4"], ""))
        assert self.watched(tmp_path) == [".", "run", "run/deep", "walk"]

    def test_links_are_not_followed_round_and_round(self, tmp_path):
        write(tmp_path, {"run/a.mp4": ""})
        (tmp_path / "run/up").symlink_to(tmp_path)
        assert self.watched(tmp_path) == [".", "run"]

    def test_folders_of_images_are_not_watched(self, tmp_path):
        write(
            tmp_path,
            {f"{label}/video_{v}/{n:02d}.jpg": "" for label in "ab" for v in range(20) for n in range(2)},
        )
        assert self.watched(tmp_path) == [".", "a", "b"]

    def test_a_class_of_images_by_prefix_is_watched(self, tmp_path):
        write(tmp_path, {f"{label}/video_{v}_frame_0.jpg": "" for label in "ab" for v in range(20)})
        assert self.watched(tmp_path) == [".", "a", "b"]
