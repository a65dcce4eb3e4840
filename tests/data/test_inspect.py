from __future__ import annotations

import re

import av
import numpy as np
import pytest
from PIL import Image

from tests.data.videos import CLIPS, needs_clips, number_of, write_video
from vidkd.config.data import FrameSettings
from vidkd.data.extract import extract_shard
from vidkd.data.frames import FrameStore
from vidkd.data.inspect import SIDE, describe, inspect_video, videos_at, write_sheet
from vidkd.data.probe import COLUMNS, probe_shard
from vidkd.data.tables import write_rows

FOUR = FrameSettings(per_video=4, short_side=SIDE, encoding="raw")


def test_it_tells_what_was_encoded_and_shows_the_sampled_frames(tmp_path):
    found = inspect_video(write_video(tmp_path / "v.mp4", 20), FOUR)
    assert found.index == [2, 7, 12, 17]  # the centres of four segments of five frames
    assert found.seconds == pytest.approx([0.2, 0.7, 1.2, 1.7])
    assert [number_of(image) for image in found.images] == found.index
    assert "mp4" in found.container
    assert found.problem is None


def test_it_agrees_with_the_run(tmp_path):
    """Probe and extraction of the same file through the stages of the workflow."""
    path = write_video(tmp_path / "v.mp4", 23, bf="2")
    row = {"video_id": "v", "path": "v.mp4", "label": "x", "split": "train", "group": ""}
    write_rows(tmp_path / "shard_0.csv", [row], list(row))
    (tmp_path / "classes.json").write_text('["x"]')
    probe_shard(tmp_path / "shard_0.csv", tmp_path / "classes.json", 0, tmp_path, tmp_path / "probe.csv")
    extract_shard(tmp_path / "probe.csv", "train", tmp_path, tmp_path / "v.h5", FOUR)
    stored = FrameStore([tmp_path / "v.h5"]).clip(0, range(4))
    np.testing.assert_array_equal(stored, np.stack(inspect_video(path, FOUR).images))


def test_words_are_aligned_and_complete(tmp_path):
    text = describe(inspect_video(write_video(tmp_path / "v.avi", 11, "mpeg4"), FrameSettings(per_video=10)))
    name, *lines = text.splitlines()
    assert name == str(tmp_path / "v.avi")
    values = [(line[2:16].strip(), line[16:].split()) for line in lines]
    found = dict(values)
    assert found["container"] == ["avi"]
    assert (found["frames"], found["fps"]) == (["11"], ["10"])
    assert (found["width"], found["height"]) == (["64"], ["48"])
    assert (found["codec"], found["rotation"], found["usable"]) == (["mpeg4"], ["0"], ["yes"])
    assert {name for name, _ in values} >= set(COLUMNS[COLUMNS.index("frames") : COLUMNS.index("status")])
    frames = [number for name, numbers in values if name == "frame" for number in numbers]
    assert frames == [str(int((k + 0.5) * 1.1)) for k in range(10)]
    assert found["decoding"]


def test_a_bad_video_has_its_reason(tmp_path):
    (tmp_path / "text.mp4").write_text("this is no video")
    found = inspect_video(tmp_path / "text.mp4", FOUR)
    assert (found.info, found.images, found.problem.reason) == (None, [], "unreadable")
    assert "EXCLUDED      unreadable: Invalid data" in describe(found)
    short = inspect_video(write_video(tmp_path / "v.mp4", 3), FOUR.model_copy(update={"min_frames": 5}))
    assert (short.info.frames, short.problem.reason) == (3, "too_short")
    assert "missing: " in describe(inspect_video(tmp_path / "absent.mp4", FOUR))


def test_images_are_a_video_too(tmp_path):
    for number in range(5):
        Image.new("RGB", (32, 24), (50 * number, 0, 0)).save(tmp_path / f"v_frame_{number:02}.png")
    for path in (tmp_path, tmp_path / "v"):
        found = inspect_video(path, FOUR)
        assert (found.container, found.info.frames, found.index) == ("", 5, [0, 1, 3, 4])
        assert [image[0, 0, 0] for image in found.images] == [0, 50, 150, 200]
        assert re.search(r"second +nan", describe(found))


def test_a_folder_stands_for_the_videos_below_it(tmp_path):
    for name in ("b/x.mp4", "a/y.webm", "a/notes.txt", "c/z.MKV"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert videos_at(tmp_path) == [tmp_path / name for name in ("a/y.webm", "b/x.mp4", "c/z.MKV")]
    assert videos_at(tmp_path / "a/y.webm") == [tmp_path / "a/y.webm"]
    assert videos_at(tmp_path / "absent") == [tmp_path / "absent"]


def first_ink(row, colour):
    """Columns of a part of the sheet that have `colour`."""
    return np.flatnonzero((row == colour).all(axis=2).any(axis=0))


def test_the_sheet_has_a_row_of_frames_for_each_video(tmp_path):
    for number in range(4):
        Image.new("RGB", (40, 80), (0, 60 * number, 255)).save(tmp_path / f"v_frame_{number}.png")
    (tmp_path / "text.mp4").write_text("no video")
    videos = [inspect_video(tmp_path / name, FOUR) for name in ("v", "text.mp4")]
    write_sheet(videos, tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    starts = []
    for number in range(4):
        rows, columns = np.nonzero((sheet == (0, 60 * number, 255)).all(axis=2))
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (80, 40)  # upright, not stretched, not enlarged
        starts.append(int(columns.min()))
        assert rows.min() < 20
    assert starts == sorted(starts)
    red = np.argwhere((sheet == (0xB0, 0, 0x20)).all(axis=2))
    assert red[:, 0].min() > 80  # the broken one's words are in the second row
    assert (sheet[:, :200] == 0).all(axis=2).any(), "the names are at the left"


def test_a_sheet_of_nothing_and_an_odd_name(tmp_path):
    write_sheet([], tmp_path / "nothing.png")
    (tmp_path / ("long " * 40 + "ü\n.mp4")).write_text("no video")
    (path,) = tmp_path.glob("long*")
    write_sheet([inspect_video(path, FOUR)], tmp_path / "odd.png")
    assert Image.open(tmp_path / "odd.png").size[1] < 200


@needs_clips
def test_a_turned_video_is_upright_on_the_sheet(tmp_path):
    """The reference is the decoded picture turned clockwise by hand, as FFmpeg's player shows it."""
    path = CLIPS / "other/dc_video_90.mov"
    with av.open(str(path)) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    wanted = Image.fromarray(np.rot90(stored, -1)).resize((72, 128), Image.Resampling.BOX)
    write_sheet([inspect_video(path, FOUR)], tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    places = [
        np.abs(sheet[top : top + 128, left : left + 72] - np.asarray(wanted)).mean()
        for top in range(4, 12)
        for left in range(220, 245)
    ]
    upside_down = np.asarray(wanted)[::-1, ::-1]
    assert min(places) < 8 < np.abs(np.asarray(wanted).astype(int) - upside_down).mean()


def test_a_name_is_one_line_that_can_be_printed(tmp_path):
    for name in (b"two\nlines.mp4", b"caf\xe9.mp4"):
        path = tmp_path / name.decode(errors="surrogateescape")
        path.write_bytes(b"no video")
        found = inspect_video(path, FOUR)
        first, second = describe(found).encode().splitlines()
        assert (b"two\\nlines.mp4" in first) == (b"\n" in name)
        assert second.startswith(b"  EXCLUDED      unreadable")
        write_sheet([found], tmp_path / "sheet.png")
