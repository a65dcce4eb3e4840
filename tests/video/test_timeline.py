from __future__ import annotations

import av
import numpy as np
import pytest

from tests.data.videos import CLIPS, needs_clips
from tests.video.encodings import BY_NAME, Encoding
from vidkd.video.bitstream import NotPlannable
from vidkd.video.timeline import numbered_packets, read_timeline


def timeline_of(path):
    with av.open(str(path)) as container:
        return read_timeline(container, container.streams.video[0])


@pytest.mark.parametrize("name", ["h264_b3.mp4", "h264_open_gop.mkv", "hevc_open_gop.mp4", "mpeg4_b2.avi"])
def test_display_order_is_that_of_the_decoder(tmp_path, name):
    path, _ = BY_NAME[name].write(tmp_path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        for number, packet in enumerate(packets):
            packet.pts = number
        frames = [frame.pts for packet in [*packets, None] for frame in stream.codec_context.decode(packet)]
    assert timeline_of(path).display == frames
    assert sorted(frames) != frames


def test_edit_list_leaves_frames_out(tmp_path):
    path, numbers = BY_NAME["h264_edit_list.mp4"].write(tmp_path)
    timeline = timeline_of(path)
    assert len(timeline.display) == len(numbers) == 40
    assert len(timeline.rank) == 70


def test_packed_pictures_get_packets_of_their_own(tmp_path):
    path, _ = BY_NAME["mpeg4_packed.avi"].write(tmp_path)
    with av.open(str(path)) as container:
        packed = [bytes(packet) for packet in container.demux(video=0)]
    assert max(packet.count(b"\x00\x00\x01\xb6") for packet in packed) == 2
    with av.open(str(path)) as container:
        single = [bytes(p) for p in numbered_packets(container, container.streams.video[0])]
    assert {packet.count(b"\x00\x00\x01\xb6") for packet in single} == {1}
    assert len(single) == 70


def test_frames_are_skipped_only_where_no_temporal_layer_may_need_them(tmp_path):
    assert any(timeline_of(BY_NAME["hevc_open_gop.mkv"].write(tmp_path)[0]).spare)
    assert not any(timeline_of(BY_NAME["hevc_layers.mkv"].write(tmp_path)[0]).spare)
    assert not any(timeline_of(BY_NAME["vp9.webm"].write(tmp_path)[0]).spare)


def test_intra_refresh_has_one_place_to_begin(tmp_path):
    path, _ = BY_NAME["h264_intra_refresh.mp4"].write(tmp_path)
    with av.open(str(path)) as container:
        assert sum(packet.is_keyframe for packet in container.demux(video=0)) > 1
    assert np.flatnonzero(timeline_of(path).entry).tolist() == [0]


@pytest.mark.parametrize(
    ("encoding", "reason"),
    [
        (BY_NAME["h264_b3.ts"], "time stamps of mpegts"),
        (BY_NAME["mpeg2.mpg"], "time stamps of mpeg "),
        (BY_NAME["h264_b0.avi"], "h264 in AVI"),
        (BY_NAME["ffv1.mkv"], "no plan for ffv1"),
        (Encoding("same.mkv", "libvpx-vp9", milliseconds=lambda k: k // 2 * 40), "one time stamp"),
        (Encoding("tiny.avi", "mpeg4", {"q": "31"}), "without a picture"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_reason_for_decoding_in_sequence(tmp_path, encoding, reason):
    path, _ = encoding.write(tmp_path)
    with pytest.raises(NotPlannable, match=reason):
        timeline_of(path)


@needs_clips
def test_real_xvid_is_unpacked():
    timeline = timeline_of(CLIPS / "action" / "mm_test.avi")
    assert len(timeline.display) == 164
    assert any(timeline.spare)
