from __future__ import annotations

import os

import pytest

from tests.data.adapters.trees import probed, put_videos, write
from vidkd.config.data import DataSettings
from vidkd.data.adapters.base import Listing, cut_split
from vidkd.data.adapters.table import Video, VideoTable
from vidkd.errors import UserError

MIXED = [
    Video(f"{n:02d}", f"{n:02d}.mp4", "abc"[n % 3], "train", f"g{n // 4}" if n < 20 else "")
    for n in range(40)
]


def table_of(videos):
    table = VideoTable()
    assert all(table.add(video, f"list:{number}") for number, video in enumerate(videos))
    return table


def test_labels_of_a_video_are_its_label_by_default():
    assert Video("a", "a.mp4", "walk", "train").labels == "walk"
    assert Video("a", "a.mp4", "walk", "train", labels="walk;run").labels == "walk;run"


class TestListing:
    def test_paths_become_relative_and_ids_lose_the_suffix_of_a_video_only(self, tmp_path):
        listing = Listing(tmp_path)
        for path in ("a/../b/x.MP4", f"{tmp_path}/c/y.mkv", "folder/clip.v2", "./z.mp4"):
            listing.add(path, "walk", "train", "list:1")
        assert [(video.path, video.video_id) for video in listing.videos] == [
            ("b/x.MP4", "b/x"),
            ("c/y.mkv", "c/y"),
            ("folder/clip.v2", "folder/clip.v2"),
            ("z.mp4", "z"),
        ]

    @pytest.mark.parametrize(
        "path", ["../x.mp4", "/elsewhere/x.mp4", "a/../../x.mp4", ".", "root2/../../root2/x.mp4"]
    )
    def test_a_path_outside_the_root(self, tmp_path, path):
        root = tmp_path / "root"
        with pytest.raises(
            UserError, match=r"list:7: .* is not inside .*root: videos must lie under data\.root"
        ):
            Listing(root).add(path, "walk", "train", "list:7")

    @pytest.mark.parametrize("name", ["folder/x.mp4", "x.mp4"])
    def test_a_link_that_leaves_the_root(self, tmp_path, name):
        root, outside = tmp_path / "root", tmp_path / "outside"
        put_videos(outside, ["x.mp4"])
        put_videos(root, ["inner.mp4"])
        (root / "folder").symlink_to(outside)
        (root / "x.mp4").symlink_to(outside / "x.mp4")
        (root / "y.mp4").symlink_to(root / "inner.mp4")
        listing = Listing(root)
        listing.add("inner.mp4", "walk", "train", "list:1")
        listing.add("y.mp4", "walk", "train", "list:2")
        with pytest.raises(UserError, match=r"list:3: .* is a link that leaves"):
            listing.add(name, "walk", "train", "list:3")

    def test_a_root_that_is_a_link(self, tmp_path):
        put_videos(tmp_path / "disk", ["x.mp4"])
        (tmp_path / "root").symlink_to(tmp_path / "disk")
        listing = Listing(tmp_path / "root")
        listing.add("x.mp4", "walk", "train", "list:1")
        assert [video.path for video in listing.videos] == ["x.mp4"]

    @pytest.mark.parametrize("text", ["a\nb", "a\rb", "tab\tb", "bell\x07", "zero\x00b", "del\x7f"])
    @pytest.mark.parametrize("where", ["path", "label", "group"])
    def test_control_characters(self, tmp_path, text, where):
        line = {"path": "x.mp4", "label": "walk", "group": "g"} | {where: text}
        with pytest.raises(
            UserError, match="has a line end or another control character: rename it"
        ) as raised:
            Listing(tmp_path).add(**line, split="train", place=f"{tmp_path}/{text}")
        assert not set("\n\r\t\x00") & set(str(raised.value))

    def test_a_name_that_is_not_utf8(self, tmp_path):
        with pytest.raises(UserError, match=r"the name .*\\udcff.* is not UTF-8: rename") as raised:
            Listing(tmp_path).add(os.fsdecode(b"\xff.mp4"), "walk", "train", os.fsdecode(b"/data/\xff.mp4"))
        str(raised.value).encode()

    @pytest.mark.parametrize(
        ("path", "label", "message"), [("x.mp4", " ", "x.mp4 has no label"), ("", "a", "no path")]
    )
    def test_empty_fields(self, tmp_path, path, label, message):
        with pytest.raises(UserError, match=f"list:1: .*{message}"):
            Listing(tmp_path).add(path, label, "train", "list:1")

    @pytest.mark.parametrize(
        ("second", "message"),
        [
            ("a/x.mp4", r"list:2: a/x\.mp4 was already listed at list:1: remove one"),
            (
                "a/x.avi",
                r"list:2: a/x\.avi and a/x\.mp4 at list:1 have the same id 'a/x'.*rename or remove one",
            ),
        ],
    )
    def test_twice_the_same_id(self, tmp_path, second, message):
        listing = Listing(tmp_path)
        listing.add("a/x.mp4", "walk", "train", "list:1")
        with pytest.raises(UserError, match=message):
            listing.add(second, "walk", "test", "list:2")

    def test_labels_that_are_no_class(self, tmp_path):
        listing = Listing(tmp_path)
        for number, label in enumerate("abcdefg"):
            listing.add(f"{number}.mp4", label, "train", "list:1")
        listing.add("t.mp4", "a", "test", "list:8", labels="a;z")
        with pytest.raises(
            UserError, match=r"list:8: label 'z' is not one of the classes.*a, b, c, d, e and 2 more"
        ):
            listing.finish(DataSettings())

    def test_classes_that_differ_in_case(self, tmp_path):
        put = {"train.csv": "a.mp4 Normal\nb.mp4 fight\nc.mp4 normal\n", "test.csv": "t.mp4 fight\n"}
        write(tmp_path, {**put, "videos/notes.txt": ""})
        with pytest.raises(UserError, match="the classes 'Normal' and 'normal' differ in case only"):
            probed(tmp_path / "videos", "csv", "..")

    @pytest.mark.parametrize(
        "other",
        ["cafe\u0301", "caf\u200b\u00e9", "\u202ecaf\u00e9", "CAFE\u0301", "\uff43\uff41\uff46\u00e9"],
    )
    def test_classes_that_look_alike(self, tmp_path, other):
        put = {"train.csv": f"a.mp4,caf\u00e9\nb.mp4,{other}\n", "test.csv": "t.mp4,caf\u00e9\n"}
        write(tmp_path, {**put, "videos/notes.txt": ""})
        with pytest.raises(UserError, match="differ in ways of writing only") as caught:
            probed(tmp_path / "videos", "csv", "..")
        assert all(ascii(name) in str(caught.value) for name in (other, "caf\u00e9"))

    def test_a_name_longer_than_the_system_allows(self, tmp_path):
        name = "x" * 300 + ".mp4"
        lists = {"train.csv": f"{name},a\nb.mp4,b\nc.mp4,b\n", "test.csv": "t.mp4,a\n"}
        write(tmp_path, {**lists, "videos/notes.txt": ""})
        rows = probed(tmp_path / "videos", "csv", "..")
        assert {row["reason"] for row in rows.values() if row["path"] == name} == {"unreadable"}

    def test_names_with_blanks_quotes_and_other_scripts_come_through(self, tmp_path):
        names = [
            'a "quoted", name.mp4',
            " blanks  around .mp4",
            "it's; a|b&c.mp4",
            "視頻/été\u2028\u00a0.mp4",
            "#1.mp4",
        ]
        put_videos(tmp_path / "videos", [*names, "test.mp4"])
        quoted = "".join('"{}",walk\n'.format(name.replace('"', '""')) for name in names)
        write(tmp_path, {"train.csv": quoted, "test.csv": "test.mp4,walk\n"})
        rows = probed(tmp_path / "videos", "csv", "..")
        assert {row["path"]: row["frames"] for row in rows.values()} == dict.fromkeys(
            [*names, "test.mp4"], "6"
        )


class TestCutSplit:
    def cut(self, videos, fraction=0.3, seed=0):
        table = table_of(videos)
        cut_split(table, "val", fraction, seed)
        assert len(table) == len(list(table)) == len(videos)
        return {video.video_id for video in table if video.split == "val"}

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
        assert len(before) == (21 if size == 1 else 20)  # 7 of each class of 66 or 67
        for number in range(50):
            after = self.cut([*videos, Video(f"new{number}", "new.mp4", "a", "train")], 0.1)
            assert len(after) == (21 if size == 1 else len(after))
            assert len(before ^ after) <= (2 if size == 1 else size + 3)
            assert abs(len(after) - len(before)) < size

    def test_a_class_keeps_a_training_video(self):
        videos = [Video(f"{n}", f"{n}.mp4", label, "train") for n, label in enumerate("aaaaaaaabc")]
        assert self.cut(videos, 0.9) < {f"{n}" for n in range(8)}

    def test_every_class_is_in_both_in_its_share(self):
        sizes = {"a": 100, "b": 40, "c": 7, "d": 2}
        videos = [
            Video(f"{label}{n}", "x", label, "train") for label, size in sizes.items() for n in range(size)
        ]
        val = [name[0] for name in self.cut(videos, 0.1)]
        assert {label: val.count(label) for label in sizes} == {"a": 10, "b": 4, "c": 1, "d": 1}

    def test_test_videos_stay(self):
        videos = [*MIXED, Video("t", "t.mp4", "a", "test", "")]
        assert "t" not in self.cut(videos, 0.9)

    def test_the_only_group_of_each_class_stays_in_train(self):
        videos = [Video(f"{n}", f"{n}.mp4", "ab"[n % 2], "train", "ab"[n % 2]) for n in range(20)]
        with pytest.raises(UserError, match="no val split can be cut from the 20 videos"):
            self.cut(videos)
