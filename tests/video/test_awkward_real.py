"""Odd real videos: each has a decided outcome, frames equal to a plain sequential decode or a reason."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from vidkd.video.decode import decode_frames, probe_video
from vidkd.video.video import UnreadableVideo

FOLDER = Path(__file__).resolve().parents[3] / "shared/awkward"
"""Not part of the project: what they are, and whose, is in its README."""

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the odd videos are not here")

REFUSED = {
    "16_sample_with_invalid_nalu.mp4": "decode_error",
    "18_sample_fragmented_uuid.mp4": "decode_error",
    "34_result.webm": "empty",
    "41_example-sans-amf0.mp4": "no_frame",
    "42_no_timescale.mp4": "decode_error",
}
KEPT = {
    "02_pixel7_videoOnly_cleaned.mp4": (36, 29.87, 180),
    "03_dolbyVision-hdr.MOV": (4, 30, 270),
    "04_mv_with_2_top_shots.mp4": (53, 29.88, 90),
    "06_sample_edit_list.mp4": (77, 28.03, 270),
    "08_edit_list_positive_shift.mp4": (270, 30, 0),
    "09_iibbibb_editlist_videoonly.mp4": (12, 1, 0),
    "12_hlg10-color-test.mp4": (9, 29.99, 0),
    "15_bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4": (120, 30, 0),
    "17_sample_empty_track.mp4": (30, 31, 0),
    "19_sample_fragmented_seekable_multiple_sidx.mp4": (600, 30, 0),
    "21_water_180_mvhevc_5frames.mov": (5, 90, 0),
    "23_sample_with_htc_rotation_track_name.mkv": (30, 30, 0),
    "24_sample.flv": (30, 30, 0),
    "26_bear-vp9-odd-dimensions.webm": (30, 29.97, 0),
    "28_sample.avi": (96, 23.98, 0),
    "29_bbb_176x144_128kbps_15fps_h263.3gp": (15, 15, 0),
    "30_no_duration.webm": (74, 14.99, 0),
    "33_transparent.webm": (150, 30, 0),
    "39_count-video.mp4": (245, 9.96, 0),
    "44_video_colr_nclx_rgb.mp4": (3, 25, 0),
    "45_tiny_av1.mp4": (1, 24, 0),
}
"""Frames, frames a second, rotation."""


def plain(path, wanted):
    """The wanted frames of a sequential decode, as FFmpeg gives them: not turned."""
    with av.open(str(path)) as container:
        frames = enumerate(container.decode(video=0))
        return [frame.to_ndarray(format="rgb24") for number, frame in frames if number in wanted]


def test_every_file_is_decided():
    assert {path.name for path in FOLDER.iterdir()} - {"README.md"} <= REFUSED.keys() | KEPT.keys()


@pytest.mark.parametrize("name", KEPT)
def test_frames_are_those_of_a_plain_decode(name):
    frames, fps, rotation = KEPT[name]
    info = probe_video(FOLDER / name)
    assert (info.frames, info.rotation) == (frames, rotation)
    assert info.fps == pytest.approx(fps, abs=0.02)
    wanted = sorted({0, frames // 3, frames // 2, frames - 1})
    found, _ = decode_frames(FOLDER / name, wanted)
    for image, stored in zip(found, plain(FOLDER / name, wanted), strict=True):
        np.testing.assert_array_equal(image, np.rot90(stored, rotation // 90))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_has_its_reason(name):
    with pytest.raises(UnreadableVideo) as caught:
        decode_frames(FOLDER / name, range(probe_video(FOLDER / name).frames))
    assert caught.value.reason == REFUSED[name]
