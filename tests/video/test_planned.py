from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.videos import CLIPS, needs_clips, number_of, write_video
from tests.video.encodings import Encoding
from vidkd.video.bitstream import NotPlannable
from vidkd.video.decode import UnreadableVideo, decode_frames, planned_segments
from vidkd.video.planned import Segment, needs_all, plan
from vidkd.video.timeline import Timeline

OPEN_GOP = Timeline(
    # decode order: I0 P3 b1 b2 | I6 b4 b5 P8 b7 | I9 P10
    display=[0, 2, 3, 1, 5, 6, 4, 8, 7, 9, 10],
    rank=[0, 3, 1, 2, 6, 4, 5, 8, 7, 9, 10],
    entry=[True, False, False, False, True, False, False, False, False, True, False],
    tick=Fraction(1, 25),
    spare=[False, False, True, True, False, True, True, False, True, False, False],
    reorder=1,
    packets=None,
)


def test_a_frame_begins_at_the_last_keyframe_shown_before_it():
    assert plan(OPEN_GOP, [8]) == [Segment(4, 8, {7: 8})]
    assert plan(OPEN_GOP, [9]) == [Segment(9, 10, {9: 9})]


def test_a_frame_shown_before_its_keyframe_needs_the_group_before():
    assert plan(OPEN_GOP, [4]) == [Segment(0, 6, {5: 4})]


def test_segments_that_meet_are_one():
    assert plan(OPEN_GOP, [4, 7]) == [Segment(0, 9, {5: 4, 8: 7})]
    assert plan(OPEN_GOP, [0, 6, 9]) == [Segment(0, 1, {0: 0}), Segment(4, 5, {4: 6}), Segment(9, 10, {9: 9})]


def test_frames_that_are_not_listed_are_not_planned():
    with pytest.raises(NotPlannable, match="11 frames"):
        plan(OPEN_GOP, [3, 11])


@given(st.sets(st.integers(0, 10), min_size=1))
def test_every_wanted_frame_is_in_one_segment_that_reaches_it(wanted):
    segments = plan(OPEN_GOP, sorted(wanted))
    packets = [packet for segment in segments for packet in segment.wanted]
    assert sorted(OPEN_GOP.display.index(packet) for packet in packets) == sorted(wanted)
    for segment, following in zip(segments, [*segments[1:], None], strict=True):
        assert OPEN_GOP.entry[segment.start]
        assert all(segment.start <= packet < segment.stop for packet in segment.wanted)
        assert following is None or segment.stop <= following.start


def test_groups_without_a_wanted_frame_are_left_out(tmp_path):
    path = write_video(tmp_path / "v.mp4", 60, bf="0", g="10", sc_threshold="0")
    assert planned_segments(path, [5, 33, 38]) == [Segment(0, 6, {5: 5}), Segment(30, 39, {33: 33, 38: 38})]


@pytest.mark.parametrize(
    ("name", "b_pictures", "wanted", "expected"),
    [
        ("v.avi", "0", [14, 29, 43, 58], True),  # nearly each group is needed to its end
        ("v.avi", "0", [0], True),
        ("v.avi", "0", [5, 55], False),  # three groups lie between
        ("v.avi", "0", [42], False),
        ("v.avi", "2", [14, 29, 43, 58], False),  # B pictures are skipped
        ("v.mp4", "0", [14, 29, 43, 58], False),  # no index is asked
    ],
)
def test_when_nothing_can_be_left_out_the_video_is_decoded_in_sequence(
    tmp_path, name, b_pictures, wanted, expected
):
    path = write_video(tmp_path / name, 60, "mpeg4", bf=b_pictures, g="15", sc_threshold="1000000000")
    with av.open(str(path)) as container:
        assert needs_all(container, container.streams.video[0], wanted) == expected
    frames, _ = decode_frames(path, wanted)
    assert [number_of(frame) for frame in frames] == wanted


def test_packets_of_a_long_video_are_demuxed_again(tmp_path, monkeypatch):
    path = write_video(tmp_path / "v.mp4", 60, bf="2", g="10")
    kept, _ = decode_frames(path, [5, 33, 59])
    monkeypatch.setattr("vidkd.video.timeline.KEPT_BYTES", 2000)
    again, _ = decode_frames(path, [5, 33, 59])
    np.testing.assert_array_equal(kept, again)


def damage(path, number: int) -> None:
    """Overwrite the packet of this number."""
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][number]
        start, size = packet.pos, packet.size
    content = bytearray(path.read_bytes())
    content[start + 8 : start + size] = b"\xff" * (size - 8)
    path.write_bytes(content)


def test_damage_counts_where_a_wanted_frame_needs_it_and_nowhere_else(tmp_path):
    path = write_video(tmp_path / "v.mp4", 40, bf="0", g="10", sc_threshold="0")
    sound, _ = decode_frames(path, [5, 35])
    damage(path, 22)
    frames, _ = decode_frames(path, [5, 35])
    np.testing.assert_array_equal(frames, sound)
    with pytest.raises(UnreadableVideo) as caught:
        decode_frames(path, [5, 25])
    assert caught.value.reason == "decode_error"


def test_interlaced_video_is_decoded_in_sequence(tmp_path):
    path, _ = Encoding("v.mp4", "libx264", {"x264-params": "interlaced=1", "g": "10"}).write(tmp_path)
    assert planned_segments(path, [25])  # only its frames say so
    frames, _ = decode_frames(path, [3, 25])
    assert [number_of(frame) for frame in frames] == [3, 25]


@needs_clips
@pytest.mark.parametrize(("name", "reason"), [("dc_corrupted.mp4", "unit"), ("trunc.mp4", "damaged packet")])
def test_broken_clips_are_not_planned(name, reason):
    with pytest.raises(NotPlannable, match=reason):
        planned_segments(CLIPS / "broken" / name, [0])
