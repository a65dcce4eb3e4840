"""The four commands of the data stage, one after the other, as the rules call them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tests.data.videos import number_of, write_video
from vidkd.data.frames import FrameStore
from vidkd.data.sampling import segment_centres
from vidkd.data.tables import read_rows
from workflow_scripts import build_manifest, check_frames, extract_frames, list_videos, probe_videos


def call(script, *arguments, settings=None):
    words = [str(word) for word in arguments]
    return CliRunner().invoke(script.main, words + (["--settings", json.dumps(settings)] if settings else []))


@pytest.fixture
def folder(tmp_path):
    for name in ("train/a", "train/b", "val/a", "test/a"):
        write_video(tmp_path / f"videos/{name}.mp4", 10)
    (tmp_path / "videos/test/b.mp4").write_text("no video")
    for split in ("train", "val", "test"):
        lines = [f"{split}/{path.name},walk\n" for path in sorted((tmp_path / "videos" / split).iterdir())]
        (tmp_path / "lists").mkdir(exist_ok=True)
        (tmp_path / f"lists/{split}.csv").write_text("".join(lines))
    return tmp_path


def run_list(folder, **more):
    settings = {"adapter": "csv", "n_shards": 2, **more}
    return call(
        list_videos,
        *("--root", folder / "videos", "--annotations", folder / "lists"),
        *("--shards", folder / "list", "--classes", folder / "classes.json"),
        settings=settings,
    )


def run_probe(folder, shard):
    return call(
        probe_videos,
        *("--root", folder / "videos", "--videos", folder / f"list/shard_{shard}.csv", "--shard", shard),
        *("--classes", folder / "classes.json", "--output", folder / f"probe/shard_{shard}.csv"),
    )


def run_manifest(folder, max_excluded):
    settings = {"n_shards": 2, "max_excluded": max_excluded}
    places = ("--probes", folder / "probe", "--classes", folder / "classes.json")
    return call(build_manifest, *places, "--manifest", folder / "manifest.csv", settings=settings)


def run_extract(folder, split, shard):
    return call(
        extract_frames,
        *("--root", folder / "videos", "--probe", folder / f"probe/shard_{shard}.csv", "--split", split),
        *("--output", folder / f"frames/{split}/shard_{shard}.h5"),
        settings={"per_video": 4, "encoding": "raw"},
    )


def run_check(folder, max_excluded=0.5):
    inputs = (
        "--manifest",
        folder / "manifest.csv",
        "--probes",
        folder / "probe",
        "--frames",
        folder / "frames",
    )
    places = (*inputs, "--classes", folder / "classes.json", "--excluded", folder / "excluded.csv")
    return call(check_frames, *places, settings={"n_shards": 2, "max_excluded": max_excluded})


def test_from_files_to_frames(folder):
    results = [run_list(folder), run_probe(folder, 0), run_probe(folder, 1), run_manifest(folder, 0.5)]
    results += [run_extract(folder, split, shard) for split in ("train", "val", "test") for shard in range(2)]
    results.append(run_check(folder))
    assert {result.exit_code for result in results} == {0}, [result.output for result in results]
    assert "4 videos usable, 1 excluded (1 unreadable)" in results[-1].output
    assert [row["video_id"] for row in read_rows(folder / "manifest.csv")] == [
        *("test/a", "test/b", "train/a", "train/b", "val/a")
    ]
    assert [row["video_id"] for row in read_rows(folder / "excluded.csv")] == ["test/b"]
    store = FrameStore([folder / "frames/train/shard_0.h5", folder / "frames/train/shard_1.h5"])
    assert sorted(store.video_ids) == ["train/a", "train/b"]
    assert [number_of(image) for image in store.clip(0, range(4))] == segment_centres(10, 4).tolist()
    made = [
        "list/shard_0.csv",
        "list/shard_1.csv",
        "classes.json",
        "probe/shard_0.csv",
        "manifest.csv",
        "excluded.csv",
    ]
    for name in [*made, "frames/train/shard_0.h5"]:
        record = json.loads((folder / f"{name}.provenance.json").read_text())
        assert record["artefact"]["bytes"] == (folder / name).stat().st_size


def test_mistake_of_the_user_is_a_sentence_and_status_2(folder):
    run_list(folder)
    run_probe(folder, 0)
    run_probe(folder, 1)
    result = run_manifest(folder, 0.1)
    assert result.exit_code == 2
    assert "Error: 1 of 5 videos cannot be used" in result.output
    assert "test/b.mp4: unreadable" in result.output
    assert not (folder / "manifest.csv").exists()


def test_listing_defaults_to_the_folders_of_the_settings(folder):
    settings = {"adapter": "csv", "root": str(folder / "videos"), "annotations": "../lists", "n_shards": 1}
    result = call(list_videos, "--shards", folder / "x", "--classes", folder / "c.json", settings=settings)
    assert result.exit_code == 0, result.output
    assert len(read_rows(folder / "x/shard_0.csv")) == 5


def test_annotations_lie_beside_a_root_that_is_a_link(folder):
    (folder / "disk").mkdir()
    (folder / "videos").rename(folder / "disk/videos")
    (folder / "videos").symlink_to(folder / "disk/videos")
    test_listing_defaults_to_the_folders_of_the_settings(folder)
