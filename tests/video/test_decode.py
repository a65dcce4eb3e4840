from __future__ import annotations

import av
import numpy as np
import pytest
from av.stream import Disposition

from tests.data.videos import (
    CLIPS,
    HEIGHT,
    WIDTH,
    needs_clips,
    number_of,
    numbered,
    write_video,
)
from tests.video.encodings import Encoding
from vidkd.video.decode import TooFewFrames, UnreadableVideo, decode_frames, probe_video

CODECS = {
    "b_frames.mp4": ("libx264", {"bf": "3", "g": "12"}),
    "no_b_frames.mkv": ("libx264", {"bf": "0", "g": "250"}),
    "packed.avi": ("mpeg4", {"bf": "2", "q": "2"}),
    "plain.webm": ("libvpx-vp9", {"crf": "20", "b": "0", "cpu-used": "8"}),
}
# frames that decode, from the table of the clips' README
SOUND = {
    "action/mm_demo.mp4": 280,
    "action/mm_test.avi": 164,
    "action/dc_pancake.mkv": 310,
    "other/tc_av1_video.mkv": 125,
    "other/tc_h265_video.mp4": 10,
    "other/tc_h264_10bits.mp4": 30,
    "other/dc_video_90.mov": 3,
    "other/h264_vfr.mp4": 167,
    "other/vp9_vfr.webm": 229,
    "other/editlist.mp4": 201,
    "other/xvid_b1.avi": 240,
    "other/one_frame.mp4": 1,
    "other/odd_size.mp4": 30,
}


@pytest.fixture(params=CODECS, scope="module")
def numbered_video(request, tmp_path_factory):
    codec, options = CODECS[request.param]
    if codec not in av.codecs_available:
        pytest.skip(f"this build of FFmpeg has no encoder {codec}")
    return write_video(tmp_path_factory.mktemp("video") / request.param, 40, codec, **options)


def reason_of(function, *arguments) -> str:
    with pytest.raises(UnreadableVideo) as caught:
        function(*arguments)
    return caught.value.reason


def test_probe_tells_what_was_encoded(numbered_video):
    info = probe_video(numbered_video)
    assert (info.frames, info.width, info.height, info.rotation) == (40, WIDTH, HEIGHT, 0)
    assert (info.pixel_format, info.vfr) == ("yuv420p", False)
    assert info.fps == pytest.approx(10, rel=0.02)
    assert info.duration == pytest.approx(4, abs=0.15)


@pytest.mark.parametrize(
    ("name", "milliseconds", "vfr"),
    [
        ("even.mp4", lambda k: 40 * k, False),
        ("rounded.mkv", lambda k: round(k * 1000 / 30), False),
        ("rounded.mp4", lambda k: round(k * 1000 / 30), False),
        ("one_gap.mkv", lambda k: 40 * k + 40 * (k > 8), True),
        ("uneven.mp4", lambda k: 40 * k + k % 3 * 5, True),
    ],
)
def test_variable_rate_is_told_from_rounding(tmp_path, name, milliseconds, vfr):
    path, numbers = Encoding(name, "libx264", {"bf": "2"}, milliseconds).write(tmp_path)
    info = probe_video(path)
    assert info.vfr == vfr
    span = (milliseconds(len(numbers) - 1) - milliseconds(0)) / 1000
    assert info.duration == pytest.approx(span * len(numbers) / (len(numbers) - 1), rel=1e-4)


@pytest.mark.parametrize("indices", [[0], [39], [0, 1, 2], [3, 3, 17, 38, 38], list(range(40))])
def test_wanted_frames_are_exact(numbered_video, indices):
    frames, seconds = decode_frames(numbered_video, indices)
    assert [number_of(frame) for frame in frames] == indices
    assert all(frame.shape == (HEIGHT, WIDTH, 3) and frame.dtype == np.uint8 for frame in frames)
    assert len(seconds) == len(indices)


def test_time_stamps_are_seconds(tmp_path):
    _, seconds = decode_frames(write_video(tmp_path / "v.mp4"), [0, 5, 19])
    np.testing.assert_allclose(seconds, [0, 0.5, 1.9], atol=1e-6)


def test_transform_is_applied_once_to_each_wanted_frame(tmp_path):
    seen = []

    def halve(image):
        seen.append(number_of(image))
        return image[::2, ::2]

    frames, _ = decode_frames(write_video(tmp_path / "v.mp4"), [2, 2, 9], halve)
    assert seen == [2, 9]
    assert [frame.shape for frame in frames] == [(HEIGHT // 2, WIDTH // 2, 3)] * 3


def test_no_index_gives_no_frame(tmp_path):
    frames, seconds = decode_frames(write_video(tmp_path / "v.mp4"), [])
    assert frames == []
    assert seconds.shape == (0,)


@pytest.mark.parametrize("indices", [[3, 1], [-1, 2]])
def test_indices_in_the_wrong_order_are_refused(tmp_path, indices):
    with pytest.raises(ValueError, match="ascending"):
        decode_frames(write_video(tmp_path / "v.mp4"), indices)


def test_index_past_the_end_tells_how_many_decode(tmp_path):
    with pytest.raises(TooFewFrames) as caught:
        decode_frames(write_video(tmp_path / "v.mp4", 7), [0, 7])
    assert caught.value.decoded == 7


def test_damaged_middle_is_an_error_and_no_picture(tmp_path):
    path = write_video(tmp_path / "v.mp4", 40, bf="0", g="10")
    with av.open(str(path)) as container:
        hit = [packet for packet in container.demux(video=0) if packet.size][20]
        start, size = hit.pos, hit.size
    content = bytearray(path.read_bytes())
    content[start : start + size] = b"\xff" * size
    path.write_bytes(content)
    assert reason_of(decode_frames, path, [39]) == "decode_error"


def write_with_cover(path, video: bool) -> None:
    """An MP4 whose first picture stream is its cover; with sound, and with a video or without one."""
    cover = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 200, np.uint8), format="rgb24")
    sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
    sound.sample_rate = 8000
    with av.open(str(path), "w") as container:
        art = container.add_stream("png", rate=1)
        art.width, art.height, art.pix_fmt = 32, 32, "rgb24"
        art.disposition = Disposition.attached_pic
        audio = container.add_stream("aac", rate=8000, layout="mono")
        if video:
            stream = container.add_stream("libx264", rate=10)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        container.mux([*art.encode(cover), *art.encode(None), *audio.encode(sound), *audio.encode(None)])
        for number in range(20 * video):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number), format="rgb24")))
        if video:
            container.mux(stream.encode(None))


def move_cover_forward(path) -> None:
    """Put the box of an MP4 that has its cover before those of its tracks."""
    content = path.read_bytes()
    place = content.index(b"moov") + 4
    boxes = []
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        boxes.append(content[place : place + length])
        place += length
    boxes.sort(key=lambda content: content[4:8] == b"trak")
    path.write_bytes(content[: content.index(b"moov") + 4] + b"".join(boxes))


def test_cover_art_is_no_video(tmp_path):
    write_with_cover(tmp_path / "film.mp4", video=True)
    move_cover_forward(tmp_path / "film.mp4")
    write_with_cover(tmp_path / "song.mp4", video=False)
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "png"
    info = probe_video(tmp_path / "film.mp4")
    assert (info.frames, info.width, info.height) == (20, WIDTH, HEIGHT)
    frames, _ = decode_frames(tmp_path / "film.mp4", [3, 19])
    assert [number_of(frame) for frame in frames] == [3, 19]
    assert reason_of(probe_video, tmp_path / "song.mp4") == "no_video"
    assert reason_of(decode_frames, tmp_path / "song.mp4", [0]) == "no_video"


@pytest.mark.parametrize(("name", "codec"), [("v.mp4", "libx265"), ("v.avi", "mjpeg")])
def test_damage_of_which_the_decoder_would_not_tell_is_an_error(tmp_path, name, codec):
    path, noise = tmp_path / name, np.random.default_rng(0).integers(0, 256, (10, 128, 160, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options={"x265-params": "log-level=none"})
        stream.width, stream.height = 160, 128
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for image in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        packet = [bytes(packet) for packet in container.demux(video=0)][3]
    half = len(packet) // 2
    path.write_bytes(path.read_bytes().replace(packet, packet[:half] + bytes(len(packet) - half)))
    with av.open(str(path)) as container:
        assert not any(frame.is_corrupt for frame in container.decode(video=0))
    assert reason_of(decode_frames, path, range(10)) == "decode_error"


def test_rate_of_an_ogg_file_is_found(tmp_path):
    path = write_video(tmp_path / "v.ogg", 20, "libvpx")
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate is None
    info = probe_video(path)
    assert (info.frames, info.fps, info.duration) == (20, 10, 2)


@needs_clips
class TestRealClips:
    @pytest.mark.parametrize("name", SOUND)
    def test_count_is_what_decodes(self, name):
        assert probe_video(CLIPS / name).frames == SOUND[name]
        frames, _ = decode_frames(CLIPS / name, [SOUND[name] - 1])
        assert frames[0].shape[2] == 3
        with pytest.raises(TooFewFrames) as caught:
            decode_frames(CLIPS / name, [SOUND[name]])
        assert caught.value.decoded == SOUND[name]

    def test_rotated_video_is_turned_upright(self):
        path = CLIPS / "other/dc_video_90.mov"
        with av.open(str(path)) as container:
            stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
        frames, _ = decode_frames(path, [0])
        # FFmpeg's own player turns a display rotation of -90 degrees clockwise
        np.testing.assert_array_equal(frames[0], stored.transpose(1, 0, 2)[:, ::-1])
        info = probe_video(path)
        assert (info.height, info.width, info.rotation) == (*frames[0].shape[:2], 270)

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("text.mp4", "unreadable"),
            ("empty.mp4", "empty"),
            ("audio_only.mp4", "no_video"),
            ("trunc.mp4", "truncated"),
        ],
    )
    def test_broken_file_fails_the_probe(self, name, reason):
        assert reason_of(probe_video, CLIPS / "broken" / name) == reason

    @pytest.mark.parametrize(("name", "sound"), [("dc_corrupted.mp4", 28), ("trunc.mp4", 140)])
    def test_error_in_the_middle_is_met_when_frames_after_it_are_wanted(self, name, sound):
        frames, _ = decode_frames(CLIPS / "broken" / name, range(sound))
        assert len(frames) == sound
        assert reason_of(decode_frames, CLIPS / "broken" / name, [sound]) == "decode_error"
