from __future__ import annotations

from collections import Counter

import pytest

from tests.data.adapters.trees import listed, probed, put_videos, splits, write
from vidkd.errors import UserError


def first_of(folder, text, known="walk"):
    """The training video that `text` lists, in a data set of the class `known`."""
    label = known.replace('"', '""')
    write(folder, {"train.csv": text, "val.csv": f'v.mp4,"{label}"', "test.csv": f't.mp4,"{label}"\n'})
    videos, classes = listed(folder, "csv")
    assert classes == [known]
    (video,) = [video for video in videos if video.split == "train"]
    return video.path, video.label, video.group


class TestForms:
    @pytest.mark.parametrize(
        ("line", "path", "label", "group"),
        [
            ("videos/x.mp4 LABEL", "videos/x.mp4", "LABEL", ""),
            ("videos/x.mp4   LABEL", "videos/x.mp4", "LABEL", ""),
            ("videos/x.mp4 opening a door, slowly", "videos/x.mp4", "opening a door, slowly", ""),
            ("x,y.mp4 7", "x,y.mp4", "7", ""),
            ("clips/one 7", "clips/one", "7", ""),
            ("clips/one opening, slowly", "clips/one", "opening, slowly", ""),
            ("x.mp4 like y.mp4", "x.mp4", "like y.mp4", ""),
            ('x.mp4 say "hi"', "x.mp4", 'say "hi"', ""),
            ("videos/x.mp4\t7", "videos/x.mp4", "7", ""),
            ("my videos/x.mp4\ttwo words, a comma\tg 1", "my videos/x.mp4", "two words, a comma", "g 1"),
            ("my videos/x.mp4,two words", "my videos/x.mp4", "two words", ""),
            ("x.mp4, walk , scene 3", "x.mp4", "walk", "scene 3"),
            ("clips/one,two words", "clips/one", "two words", ""),
            ('"my clips/one",walk', "my clips/one", "walk", ""),
            ('x.mp4,"a, ""b""",scene 3', "x.mp4", 'a, "b"', "scene 3"),
            ("été/x.mp4,marché", "été/x.mp4", "marché", ""),
            ("videos\\x.mp4,walk", "videos\\x.mp4", "walk", ""),
        ],
    )
    def test_a_line_without_header(self, tmp_path, line, path, label, group):
        assert first_of(tmp_path, f"{line}\n\n", label) == (path, label, group)

    def test_the_lists_of_tsn_and_mmaction2(self, tmp_path):
        """Of `path frames label` each number of frames was a class of its own."""
        lists = {
            name: "".join(f"{name}/{n} {60 + n} {n % 12}\n" for n in range(24)) for name in ("train", "test")
        }
        write(tmp_path, {f"{name}.csv": text for name, text in lists.items()})
        videos, classes = listed(tmp_path, "csv", val_fraction=0.1)
        assert classes == [str(n) for n in range(12)], "in the order of numbers"
        assert {(video.path, video.label) for video in videos if video.split == "test"} == {
            (f"test/{n}", str(n % 12)) for n in range(24)
        }

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("x.mp4 1 3", "has several labels after the path"),
            ("x.mp4 60 3 5", "has several labels after the path"),
            ("x.mp4,60,3", "may be path, label, group or path, frames, label"),
            ("x.mp4\t60\t3", "may be path, label, group or path, frames, label"),
        ],
    )
    def test_numbers_that_may_be_several_things_are_refused(self, tmp_path, line, words):
        with pytest.raises(UserError, match=rf"train\.csv: .*{words}"):
            first_of(tmp_path, f"{line}\n", "3")

    @pytest.mark.parametrize(
        "text",
        [
            "path,label,group\nmy x.mp4,walk,g\n",
            "Label,Video_Path,fps,group\nwalk,my x.mp4,25,g\n",
            "label\tgroup\tfilename\nwalk\tg\tmy x.mp4\n",
            'group,path,label\r\n"g","my x.mp4","walk"\r\n',
            "\ufeffgroup,video,class\ng,my x.mp4,walk\n",
        ],
    )
    def test_a_header_names_the_columns(self, tmp_path, text):
        assert first_of(tmp_path, text) == ("my x.mp4", "walk", "g")

    def test_a_header_with_blanks(self, tmp_path):
        assert first_of(tmp_path, "video label\nx.mp4 two words\n", "two words") == ("x.mp4", "two words", "")

    def test_headers_are_not_videos(self, tmp_path):
        text = "path,label\nx{}.mp4,walk\n"
        write(tmp_path, {f"{split}.csv": text.format(split) for split in ("train", "val", "test")})
        assert splits(listed(tmp_path, "csv")[0]) == {
            "xtest.mp4": "test",
            "xtrain.mp4": "train",
            "xval.mp4": "val",
        }


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a.mp4 walk\n\nb.mp4\n", r"train\.csv:3: expected `path label`"),
            ("a.mp4;walk\n", r"train\.csv:1: expected `path label`"),
            ("a.mp4,walk\nb.mp4\n", r"train\.csv:2: b\.mp4 has no label"),
            ("label,path\nwalk\n", r"train\.csv:2: a line has no path"),
            ("a.mp4,walk,g,more\n", r"train\.csv:1: expected path, label, group, found 4 fields"),
            ('a.mp4,"walk\n', r"train\.csv:1: unexpected end of data"),
            ('a.mp4,"wa\nlk"\nb.mp4,walk\n', r"train\.csv:1: .* has a line end or another control character"),
            ('path,label\n"a\n.mp4",walk\n', r"train\.csv:2: .* has a line end or another control character"),
            ("path,class,label\na.mp4,1,walk\n", r"train\.csv: two columns can be the label in the header"),
            ("a.mp4 walk\rb.mp4 walk\r", r"train\.csv:1: .* control character"),
            ("a.mp4 walk\n../b.mp4 walk\n", r"train\.csv:2: \.\./b\.mp4 is not inside"),
            ("a.mp4 walk\na.avi walk\n", r"train\.csv:2: a\.avi and a\.mp4 .* have the same id"),
            ("my video.mp4 a\n", r"train\.csv:1: 'my' looks like half of a path .* needs commas or tabs"),
            ('a.mp4 walk\n"your video.mp4" b\n', r"train\.csv:2: '\"your' looks like half of a path"),
            (
                "label path\nwalk my clips/x.v2\nwalk a b.mp4 c\n",
                r"train\.csv:3: 'a b\.mp4 c' looks like half",
            ),
            ("", "no train videos are listed"),
        ],
    )
    def test_is_named(self, tmp_path, text, message):
        write(tmp_path, {"train.csv": text, "test.csv": "c.mp4 walk\n"})
        with pytest.raises(UserError, match=message):
            listed(tmp_path, "csv")

    def test_group_in_two_splits(self, tmp_path):
        write(tmp_path, {"train.csv": "a.mp4,walk,g\n", "test.csv": "b.mp4,walk,g\n"})
        with pytest.raises(
            UserError, match=r"test\.csv:1: group 'g' is in test here and in train at .*csv:1"
        ):
            listed(tmp_path, "csv")

    def test_unknown_label(self, tmp_path):
        write(tmp_path, {"train.csv": "a.mp4 walk\n", "test.csv": "b.mp4 wlak\n"})
        with pytest.raises(
            UserError, match=r"test\.csv:1: label 'wlak' is not one of the classes, which are walk"
        ):
            listed(tmp_path, "csv")

    @pytest.mark.parametrize("text", ["", "\n", "path,label\n", "video label\n"])
    def test_an_empty_val_is_not_taken_for_none(self, tmp_path, text):
        train = "".join(f"{n}.mp4 walk\n" for n in range(10))
        write(tmp_path, {"train.csv": train, "val.csv": text, "test.csv": "t.mp4 walk\n"})
        with pytest.raises(
            UserError, match=r"/val\.csv has no video: fill it, or remove it to have a validation split cut"
        ):
            listed(tmp_path, "csv")
        (tmp_path / "val.csv").unlink()
        assert Counter(video.split for video in listed(tmp_path, "csv")[0])["val"] == 1

    def test_missing_split_file(self, tmp_path):
        write(tmp_path, {"train.csv": "a.mp4 walk\n"})
        with pytest.raises(UserError, match=r"test\.csv is missing"):
            listed(tmp_path, "csv")


def test_without_val_one_is_cut_from_train(tmp_path):
    train = "".join(f"{label}/{n}.mp4,{label},{label}{n // 2}\n" for label in "ab" for n in range(10))
    write(tmp_path, {"train.csv": train, "test.csv": "t.mp4 a\n"})
    videos, _ = listed(tmp_path, "csv", val_fraction=0.2)
    assert Counter(video.split for video in videos) == {"train": 16, "val": 4, "test": 1}


def test_real_videos_are_probed_and_a_missing_one_is_told(tmp_path):
    names = ["videos/a 1.mp4", "videos/b.avi", "videos/c.webm", "videos/d.mkv"]
    put_videos(tmp_path, names)
    write(
        tmp_path,
        {
            "lists/train.csv": "\ufeffvideo_path,label\r\nvideos/a 1.mp4,walk\r\nvideos/b.avi,run\r\n",
            "lists/val.csv": "videos/c.webm run\n",
            "lists/test.csv": "videos/d.mkv\twalk\nvideos/e.mp4\twalk\n",
        },
    )
    rows = probed(tmp_path, "csv", "lists")
    assert {row["path"]: row["codec"] for row in rows.values()} == {
        "videos/a 1.mp4": "h264",
        "videos/b.avi": "mpeg4",
        "videos/c.webm": "vp8",
        "videos/d.mkv": "h264",
        "videos/e.mp4": "",
    }
    assert [name for name, row in rows.items() if row["reason"] == "missing"] == ["videos/e"]
