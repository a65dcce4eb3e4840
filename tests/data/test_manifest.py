from __future__ import annotations

import json
import shlex

import pytest

from vidkd.data.manifest import build_manifest
from vidkd.data.probe import COLUMNS
from vidkd.data.tables import read_rows, rows_text
from vidkd.errors import UserError


def row(name, label="walk", split="train", status="ok"):
    values = {"video_id": name, "path": f"{name}.mp4", "label": label, "split": split, "status": status}
    return dict.fromkeys(COLUMNS, "") | values | {"reason": "empty: no bytes" if status != "ok" else ""}


GOOD = [row("c"), row("b", "run, fast"), row("d", split="val"), row("a", split="test")]


def build(folder, shards, max_excluded=0.5, classes=("run, fast", "walk")):
    files = []
    for number, rows in enumerate(shards):
        files.append(folder / f"shard_{number}.csv")
        files[-1].write_text(rows_text(rows, COLUMNS))
    (folder / "classes.json").write_text(json.dumps(classes))
    return build_manifest(
        files, folder / "classes.json", folder / "manifest.csv", folder / "excluded.csv", max_excluded
    )


def test_shards_are_joined_in_order_of_id(tmp_path):
    bad = row("bb", status="excluded")
    assert build(tmp_path, [GOOD[:2], [bad], GOOD[2:], []]) == (4, 1)
    rows = read_rows(tmp_path / "manifest.csv")
    assert [r["video_id"] for r in rows] == ["a", "b", "bb", "c", "d"]
    assert rows[1] == GOOD[1]
    assert read_rows(tmp_path / "excluded.csv") == [
        {"video_id": "bb", "path": "bb.mp4", "reason": "empty: no bytes"}
    ]


def test_order_of_shards_does_not_matter(tmp_path):
    build(tmp_path, [GOOD[:2], GOOD[2:]])
    before = (tmp_path / "manifest.csv").read_bytes()
    build(tmp_path, [GOOD[2:], GOOD[:2]])
    assert (tmp_path / "manifest.csv").read_bytes() == before


def test_nothing_excluded_leaves_an_empty_list(tmp_path):
    build(tmp_path, [GOOD], max_excluded=0)
    assert (tmp_path / "excluded.csv").read_text() == "video_id,path,reason\n"


def test_too_many_excluded_stops_and_lists_them(tmp_path, caplog):
    bad = [row(f"x{number}", status="excluded") for number in range(2)]
    assert build(tmp_path, [GOOD + bad], max_excluded=2 / 6) == (4, 2)
    (tmp_path / "manifest.csv").unlink()
    with pytest.raises(UserError, match=r"2 of 6 videos(?s:.*)x0\.mp4: empty(?s:.*)log of this step"):
        build(tmp_path, [GOOD + bad], max_excluded=0.3)
    assert caplog.text.count("excluded x") == 4  # both videos, in both builds
    assert not (tmp_path / "manifest.csv").exists()


@pytest.mark.parametrize(("share", "classes"), [(0.1, ("walk", "run, fast")), (1, ("walk", "fly"))])
def test_what_to_delete_for_a_mended_video_is_named(tmp_path, share, classes):
    """When too many are excluded, and when a class has lost its videos."""
    folder = tmp_path / "my results"
    folder.mkdir()
    shards = [GOOD, [row("x", status="excluded")], [], [row("y"), row("z", status="excluded")]]
    with pytest.raises(UserError, match="looked at again after") as raised:
        build(folder, shards, share, classes)
    files = shlex.split(str(raised.value).partition("after: rm ")[2])
    assert files == [str(folder / f"shard_{number}.csv") for number in (1, 3)]


@pytest.mark.parametrize("split", ["val", "test"])
def test_split_without_usable_video_is_named(tmp_path, split):
    rows = [r | {"status": "excluded"} if r["split"] == split else r for r in GOOD]
    with pytest.raises(UserError, match=f"the {split} split"):
        build(tmp_path, [rows])


def test_train_split_without_usable_video_is_named(tmp_path):
    with pytest.raises(UserError, match="the train split"):
        build(tmp_path, [GOOD[2:]])


def test_class_without_usable_training_video_is_named(tmp_path):
    with pytest.raises(UserError, match=r"1 classes .* run, fast"):
        build(tmp_path, [[GOOD[0], row("b", "run, fast", status="excluded"), *GOOD[2:]]])


def test_no_videos_at_all(tmp_path):
    with pytest.raises(UserError, match="no videos"):
        build(tmp_path, [[], []])


def test_same_video_in_two_shards(tmp_path):
    with pytest.raises(UserError, match="'a' is in two"):
        build(tmp_path, [GOOD, GOOD[3:]])


def test_missing_probe_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*absent\.csv"):
        build_manifest([tmp_path / "absent.csv"], tmp_path / "c", tmp_path / "m", tmp_path / "e", 0.5)
