"""Every kind of file gives exactly the frames that are asked for, by plan where it can be."""

from __future__ import annotations

import av
import numpy as np
import pytest

from tests.data.videos import CLIPS, needs_clips, number_of
from tests.video.crafted import CRAFTED, REPEATED_H264, REPEATED_HEVC, with_swapped_stamps
from tests.video.encodings import ENCODINGS, FRAMES
from vidkd.data.sampling import segment_centres
from vidkd.video.bitstream import NotPlannable
from vidkd.video.decode import decode_frames, planned_segments, probe_video
from vidkd.video.planned import decode_segments, plan
from vidkd.video.timeline import numbered_packets, read_timeline

COUNTS = (1, 4, 8, 16)
MAY_HAVE_STAMPS_OF_DECODING = {"odd_size.mp4"}  # its header allows B-frames, and it has none
CLIPS_THAT_DECODE = (
    [path for path in sorted(CLIPS.glob("*/*.*")) if path.parent.name != "broken"] if CLIPS.is_dir() else []
)


@pytest.fixture(params=ENCODINGS, ids=lambda encoding: encoding.name, scope="module")
def encoded(request, tmp_path_factory):
    """An encoding, its file, and the numbers that its frames show."""
    if request.param.codec not in av.codecs_available:
        pytest.skip(f"this build of FFmpeg has no encoder {request.param.codec}")
    return request.param, *request.param.write(tmp_path_factory.mktemp("encoded"))


def all_frames(path) -> list[np.ndarray]:
    """Every frame, decoded in sequence by other code than is tested."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def by_plan(path, indices) -> dict[int, np.ndarray]:
    """What the plan alone gives: nothing here can fall back."""
    with av.open(str(path)) as container, av.open(str(path)) as again:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        timeline = read_timeline(container, stream)
        segments = plan(timeline, indices)
        packets = timeline.packets or numbered_packets(again, again.streams.video[0])
        return {
            index: frame.to_ndarray(format="rgb24")
            for index, frame, _ in decode_segments(packets, stream, timeline, segments)
        }


def choices(count: int, seed: int) -> list[list[int]]:
    """Segment centres at every clip length, and random sets of frames."""
    generator = np.random.default_rng(seed)
    random = [generator.choice(count, min(count, size), replace=False) for size in (1, 1, 2, 3, 5, 9, 20)]
    centres = [segment_centres(count, clip) for clip in COUNTS]
    return [sorted(set(map(int, chosen))) for chosen in [*centres, *random, range(count)]]


@pytest.mark.parametrize("count", COUNTS)
def test_segment_centres_are_exact(encoded, count):
    _, path, numbers = encoded
    wanted = segment_centres(len(numbers), count).tolist()
    frames, seconds = decode_frames(path, wanted)
    assert [number_of(frame) for frame in frames] == [numbers[index] for index in wanted]
    assert np.all(np.diff(seconds) > 0)


def test_probe_counts_what_decodes(encoded):
    _, path, numbers = encoded
    assert probe_video(path).frames == len(numbers)


def test_planned_frames_are_those_of_sequential_decoding(encoded):
    encoding, path, numbers = encoded
    if not encoding.planned:
        with pytest.raises(NotPlannable):
            by_plan(path, [len(numbers) - 1])
        return
    expected = all_frames(path)
    assert len(expected) == len(numbers)
    for indices in choices(len(numbers), seed=0):
        found = by_plan(path, indices)
        assert sorted(found) == indices
        for index in indices:
            np.testing.assert_array_equal(found[index], expected[index])


def test_seconds_are_those_of_sequential_decoding(encoded):
    _, path, numbers = encoded
    _, together = decode_frames(path, range(len(numbers)))
    for index in (0, 20, 39):
        assert decode_frames(path, [index])[1] == together[index]


@needs_clips
@pytest.mark.parametrize("path", CLIPS_THAT_DECODE, ids=lambda path: path.name)
def test_every_real_clip_is_planned_and_exact(path):
    expected = all_frames(path)
    if path.name in MAY_HAVE_STAMPS_OF_DECODING:
        with pytest.raises(NotPlannable, match="those of decoding"):
            planned_segments(path, [0])
        for indices in choices(len(expected), seed=1):
            for index, frame in zip(indices, decode_frames(path, indices)[0], strict=True):
                np.testing.assert_array_equal(frame, expected[index])
        return
    assert planned_segments(path, [len(expected) - 1])
    for indices in choices(len(expected), seed=1):
        found = by_plan(path, indices)
        assert sorted(found) == indices
        for index in indices:
            np.testing.assert_array_equal(found[index], expected[index])


@pytest.mark.parametrize("name", CRAFTED)
def test_packets_that_contradict_a_plan_are_decoded_in_sequence(tmp_path, name):
    write, reason = CRAFTED[name]
    path = write(tmp_path)
    expected = all_frames(path)
    with pytest.raises(NotPlannable, match=reason):
        by_plan(path, range(len(expected)))
    for indices in choices(len(expected), seed=2):
        frames, _ = decode_frames(path, indices)
        for index, frame in zip(indices, frames, strict=True):
            np.testing.assert_array_equal(frame, expected[index])


@pytest.mark.parametrize("encoding", [REPEATED_H264, REPEATED_HEVC], ids=lambda encoding: encoding.name)
def test_parameters_that_are_repeated_stay_planned(tmp_path, encoding):
    path, _ = encoding.write(tmp_path)
    expected = all_frames(path)
    for index, frame in by_plan(path, [3, 30, 69]).items():
        np.testing.assert_array_equal(frame, expected[index])


def test_frames_whose_stamps_are_in_another_order_are_those_of_sequential_decoding(tmp_path):
    path = with_swapped_stamps(tmp_path)
    expected = all_frames(path)
    with pytest.raises(NotPlannable, match="another order"):
        by_plan(path, range(FRAMES))
    np.testing.assert_array_equal(decode_frames(path, range(FRAMES))[0], expected)
