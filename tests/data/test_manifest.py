from __future__ import annotations

import json
import shlex
import tracemalloc

import pytest

from vidkd.config.data import DataSettings
from vidkd.data import tables
from vidkd.data.manifest import build_manifest
from vidkd.data.probe import COLUMNS
from vidkd.data.tables import read_rows, write_rows
from vidkd.errors import UserError


def row(name, label="walk", split="train", reason="", shard=0):
    values = {"video_id": name, "path": f"{name}.mp4", "label": label, "split": split, "shard": str(shard)}
    values |= {"status": "excluded" if reason else "ok", "reason": reason, "detail": "so" if reason else ""}
    return dict.fromkeys(COLUMNS, "") | values


GOOD = [row("a", split="test"), row("b", "run, fast"), row("c"), row("d", split="val")]


def build(folder, shards, max_excluded=0.5, classes=("run, fast", "walk"), **more):
    for number, rows in enumerate(shards):
        rows = sorted(rows, key=lambda r: r["video_id"])
        write_rows(folder / f"probe/shard_{number}.csv", rows, COLUMNS)
    (folder / "classes.json").write_text(json.dumps(classes))
    settings = DataSettings(n_shards=len(shards), max_excluded=max_excluded, **more)
    return build_manifest(folder / "probe", folder / "classes.json", folder / "manifest.csv", settings)


def test_shards_are_joined_in_order_of_id(tmp_path):
    census = build(tmp_path, [GOOD[:2], [row("bb", reason="empty")], GOOD[2:], []])
    assert (census.usable, census.excluded) == (4, 1)
    rows = read_rows(tmp_path / "manifest.csv")
    assert [r["video_id"] for r in rows] == ["a", "b", "bb", "c", "d"]
    assert rows[1] == GOOD[1]
    assert (rows[2]["reason"], rows[2]["detail"]) == ("empty", "so")


def test_order_of_shards_does_not_matter(tmp_path):
    build(tmp_path, [GOOD[:2], GOOD[2:]])
    before = (tmp_path / "manifest.csv").read_bytes()
    build(tmp_path, [GOOD[2:], GOOD[:2]])
    assert (tmp_path / "manifest.csv").read_bytes() == before


@pytest.mark.parametrize("n_shards", [2, 3, 9, 30])
def test_more_shards_than_may_be_open_are_joined_in_steps(tmp_path, monkeypatch, n_shards):
    shards = [
        [row(f"{(i * 7919) % 97:02}", shard=i % n_shards) for i in range(k, 97, n_shards)]
        for k in range(n_shards)
    ]
    shards[0] += [row("x", split="val"), row("y", split="test")]
    build(tmp_path, shards, classes=["walk"])
    at_once = (tmp_path / "manifest.csv").read_bytes()
    monkeypatch.setattr(tables, "OPEN_FILES", 3)
    build(tmp_path, shards, classes=["walk"])
    assert (tmp_path / "manifest.csv").read_bytes() == at_once
    assert [r["video_id"] for r in read_rows(tmp_path / "manifest.csv")] == sorted(
        r["video_id"] for s in shards for r in s
    )


def peak_of_joining(folder, n_rows):
    folder.mkdir()
    names = [f"{number:06}" for number in range(n_rows)]
    rows = [row(name, split=("train", "val", "test")[n % 3]) for n, name in enumerate(names)]
    shards = [rows[start::5] for start in range(5)]
    tracemalloc.start()
    try:
        assert build(folder, shards, classes=["walk"]).usable == n_rows
        del rows, shards, names
        tracemalloc.reset_peak()
        settings = DataSettings(n_shards=5)
        build_manifest(folder / "probe", folder / "classes.json", folder / "manifest.csv", settings)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_videos(tmp_path):
    few, many = (peak_of_joining(tmp_path / str(count), count) for count in (300, 12_000))
    assert many < few + 200_000  # twelve thousand rows are ten megabytes


def test_names_with_quotes_commas_and_line_ends_survive(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "OPEN_FILES", 2)
    names = ['e "quoted", so', "f\nline", "g\r\nline", " h ", "ü"]
    build(tmp_path, [GOOD, *([row(name)] for name in names)])
    assert {r["video_id"] for r in read_rows(tmp_path / "manifest.csv")} == {*"abcd", *names}


def test_too_many_excluded_stops_and_lists_them(tmp_path, caplog):
    bad = [row("x0", reason="empty"), row("x1", reason="truncated"), row("x2", reason="truncated")]
    assert build(tmp_path, [GOOD + bad], max_excluded=3 / 7).reasons == {"empty": 1, "truncated": 2}
    (tmp_path / "manifest.csv").unlink()
    wanted = (
        r"3 of 7 videos cannot be used \(2 truncated, 1 empty\), above data\.max_excluded = 0\.4:\n"
        r"  x1\.mp4: truncated: so\n(?s:.*)log of this step"
    )
    with pytest.raises(UserError, match=wanted):
        build(tmp_path, [GOOD + bad], max_excluded=0.4)
    assert caplog.text.count("excluded x") == 6  # all videos, in both builds
    assert not (tmp_path / "manifest.csv").exists()


def test_missing_files_are_counted_apart(tmp_path):
    bad = [row("x0", reason="missing"), row("x1", reason="missing"), row("x2", reason="empty")]
    census = build(tmp_path, [GOOD + bad], max_excluded=1 / 7, max_missing=2 / 7)
    assert census.summary() == "4 videos usable, 3 excluded (2 missing, 1 empty)"
    with pytest.raises(UserError, match=r"2 of 7 videos are missing, above data\.max_missing = 0\.2"):
        build(tmp_path, [GOOD + bad], max_excluded=1, max_missing=0.2)
    with pytest.raises(
        UserError, match=r"1 of 7 videos cannot be used \(1 empty\), above data\.max_excluded"
    ):
        build(tmp_path, [GOOD + bad], max_excluded=0.1, max_missing=1)


@pytest.mark.parametrize(("share", "classes"), [(0.1, ("walk", "run, fast")), (1, ("walk", "fly"))])
def test_what_to_delete_for_a_mended_video_is_named(tmp_path, share, classes):
    """When too many are excluded, and when a class has lost its videos."""
    folder = tmp_path / "my results"
    shards = [GOOD, [row("x", reason="empty", shard=1)], [], [row("y"), row("z", reason="empty", shard=3)]]
    folder.mkdir()
    with pytest.raises(UserError, match="looked at again after") as raised:
        build(folder, shards, share, classes)
    files = shlex.split(str(raised.value).partition("after: rm ")[2])
    assert files == [str(folder / f"probe/shard_{number}.csv") for number in (1, 3)]


def test_many_files_to_delete_are_named_by_a_pattern(tmp_path):
    shards = [GOOD, *([row(f"x{k:02}", reason="empty", shard=k)] for k in range(1, 30))]
    with pytest.raises(UserError) as raised:
        build(tmp_path, shards, 0.1)
    assert str(raised.value).partition("after: rm ")[2] == f"{tmp_path}/probe/shard_*.csv"


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_split_without_usable_video_is_named(tmp_path, split):
    rows = [r | {"status": "excluded", "reason": "empty"} if r["split"] == split else r for r in GOOD]
    with pytest.raises(UserError, match=f"the {split} split"):
        build(tmp_path, [rows])


def test_class_without_usable_training_video_is_named(tmp_path):
    with pytest.raises(UserError, match=r"1 classes .* run, fast"):
        build(tmp_path, [[GOOD[0], row("b", "run, fast", reason="empty"), *GOOD[2:]]])


def test_no_videos_at_all(tmp_path):
    with pytest.raises(UserError, match="no videos"):
        build(tmp_path, [[], []])


def test_same_video_in_two_shards(tmp_path):
    with pytest.raises(UserError, match="'a' is in two"):
        build(tmp_path, [GOOD, GOOD[:1]])
    assert not (tmp_path / "manifest.csv").exists()


def test_a_shard_that_is_not_sorted_is_refused(tmp_path):
    build(tmp_path, [GOOD])
    write_rows(tmp_path / "probe/shard_0.csv", GOOD[::-1], COLUMNS)
    settings = DataSettings(n_shards=1)
    with pytest.raises(UserError, match="'c' comes after 'd'"):
        build_manifest(tmp_path / "probe", tmp_path / "classes.json", tmp_path / "manifest.csv", settings)


def test_shards_of_an_earlier_larger_number_are_not_read(tmp_path):
    build(tmp_path, [GOOD, [row("e")], [row("f")]])
    assert build(tmp_path, [GOOD, [row("e")]]).usable == 5


def test_missing_probe_file_is_named(tmp_path):
    build(tmp_path, [GOOD, []])
    (tmp_path / "probe/shard_1.csv").unlink()
    settings = DataSettings(n_shards=2)
    with pytest.raises(UserError, match=r"cannot read .*shard_1\.csv"):
        build_manifest(tmp_path / "probe", tmp_path / "classes.json", tmp_path / "manifest.csv", settings)
