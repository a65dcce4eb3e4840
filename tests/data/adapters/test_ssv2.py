from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.data.adapters.trees import listed, probed, put_videos, write
from vidkd.errors import UserError


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
        swapped = dict(zip(classes, ("1", "0"), strict=True))
        assert listed(self.tree(tmp_path, prefix, labels=swapped), "ssv2", "labels")[1] == classes[::-1]
        assert Counter(video.split for video in videos) == {"train": 18, "val": 2, "test": 1}
        assert [(v.video_id, v.path, v.label) for v in videos if v.split == "test"] == [
            ("900", "900.webm", classes[1])
        ]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"validation": [{"id": "3", "template": "Pushing [something] so it falls"}]},
                r"3\.webm was already listed at .*train\.json: entry 4",
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

    @pytest.mark.parametrize("found", [3, None, {}, "x"])
    def test_a_split_that_is_no_list_is_named(self, tmp_path, found):
        with pytest.raises(UserError, match=r"train\.json: expected a list of objects with id and template"):
            listed(self.tree(tmp_path, train=found), "ssv2", "labels")

    @pytest.mark.parametrize("found", [5, None, [1], ["Holding something"], {}])
    def test_classes_that_are_no_object_are_named(self, tmp_path, found):
        with pytest.raises(
            UserError, match=r'labels\.json: expected an object .* \{"Holding something": "0"\}'
        ):
            listed(self.tree(tmp_path, labels=found), "ssv2", "labels")

    @pytest.mark.parametrize(
        ("entry", "expected"),
        [
            *((entry, "an object with id and template") for entry in (None, 3, "x", [], {"id": "900"})),
            *(
                ({"id": video, "template": "x"}, "a text or number as id")
                for video in (None, True, 1.5, [], "")
            ),
            ({"id": "1", "template": 7}, "a text or number as id and a text as template"),
        ],
    )
    def test_an_entry_of_another_kind_is_named(self, tmp_path, entry, expected):
        with pytest.raises(UserError, match=rf"validation\.json: entry 1: expected {expected}"):
            listed(self.tree(tmp_path, validation=[entry]), "ssv2", "labels")

    def test_a_number_is_an_id(self, tmp_path):
        entry = {"id": 900, "template": "Pushing [something] so it falls"}
        videos, _ = listed(self.tree(tmp_path, validation=[entry]), "ssv2", "labels")
        assert [(v.video_id, v.path) for v in videos if v.split == "test"] == [("900", "900.webm")]

    def test_missing_file_is_named(self, tmp_path):
        (self.tree(tmp_path) / "labels/labels.json").unlink()
        with pytest.raises(UserError, match=r"cannot read .*labels\.json"):
            listed(tmp_path, "ssv2", "labels")

    def test_converted_files_and_files_in_folders_are_found(self, tmp_path):
        self.tree(tmp_path)
        put_videos(tmp_path / "videos", ["3.mp4", "part1/4.webm", *(f"{n}.webm" for n in [*range(3), 900])])
        rows = probed(tmp_path / "videos", "ssv2", "../labels")
        assert [rows[n]["path"] for n in ("3", "4", "900", "5")] == [
            "3.mp4",
            "part1/4.webm",
            "900.webm",
            "5.webm",
        ]
        assert {rows[n]["reason"] for n in map(str, range(5, 20))} == {"missing"}
        assert {rows[n]["codec"] for n in ("0", "4", "900")} == {"vp8"}

    def test_files_of_the_unlabelled_test_split_change_nothing(self, tmp_path):
        before = listed(self.tree(tmp_path), "ssv2", "labels")
        write(
            tmp_path / "labels",
            {"test.json": '[{"id": "9000"}]', "test-answers.csv": "9000;Pushing something\n"},
        )
        assert listed(tmp_path, "ssv2", "labels") == before

    def test_byte_order_mark(self, tmp_path):
        before = listed(self.tree(tmp_path), "ssv2", "labels")
        file = tmp_path / "labels/train.json"
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
        assert listed(tmp_path, "ssv2", "labels") == before
