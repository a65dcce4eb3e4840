from __future__ import annotations

import os
import struct

import av
import pytest

from tests.data.videos import write_video
from vidkd.video.containers import missing_bytes, open_container
from vidkd.video.decode import probe_video
from vidkd.video.video import UnreadableVideo


def ffmpeg_name(path):
    with av.open(str(path)) as container:
        return container.format.name


def cut(path, n_bytes):
    path.write_bytes(path.read_bytes()[:-n_bytes])
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm", "avi"])
@pytest.mark.parametrize("n_bytes", [0, 9, 300])
def test_missing_bytes_are_counted(tmp_path, suffix, n_bytes):
    codec = {"webm": "libvpx-vp9", "avi": "mpeg4"}.get(suffix, "libx264")
    path = write_video(tmp_path / f"v.{suffix}", 40, codec)
    if suffix == "mov":  # its index is last, without which nothing opens
        n_bytes = 0
    name = ffmpeg_name(path)
    if n_bytes:
        cut(path, n_bytes)
    assert missing_bytes(path, name) == n_bytes


@pytest.mark.parametrize("suffix", ["ts", "mpg"])
def test_streams_do_not_tell(tmp_path, suffix):
    path = write_video(tmp_path / f"v.{suffix}", 40, "mpeg2video")
    name = ffmpeg_name(path)
    assert missing_bytes(cut(path, 3000), name) == 0


def test_a_matroska_file_written_as_a_stream_does_not_tell(tmp_path):
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w", options={"live": "1"}) as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 64, 48
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode(None))
    assert missing_bytes(path, ffmpeg_name(path)) == 0
    assert missing_bytes(cut(path, 30), "matroska,webm") == 0


def test_opening_vp9_decodes_no_picture(tmp_path):
    path = write_video(tmp_path / "v.webm", 40, "libvpx-vp9")
    with open_container(path) as ours, av.open(str(path)) as plain:
        opened, tried = ours.streams.video[0], plain.streams.video[0]
        assert (opened.codec_context.pix_fmt, tried.codec_context.pix_fmt) == (None, "yuv420p")
        for name in ("average_rate", "guessed_rate", "time_base", "start_time", "width", "height"):
            assert getattr(opened, name) == getattr(tried, name)
        for own, other in zip(ours.decode(opened), plain.decode(tried), strict=True):
            assert own.pts == other.pts
            assert (own.to_ndarray() == other.to_ndarray()).all()


def box(kind, content, large=False, claimed=None):
    size = len(content) + (16 if large else 8) if claimed is None else claimed
    return (struct.pack(">I4sQ", 1, kind, size) if large else struct.pack(">I4s", size, kind)) + content


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        (box(b"ftyp", b"isom"), 0),
        (box(b"ftyp", b"isom") + box(b"mdat", bytes(90), large=True), 0),
        (box(b"mdat", bytes(90), large=True)[:-40], 40),
        (box(b"moof", bytes(40)) + box(b"mdat", bytes(90))[:-1], 1),
        (box(b"mdat", bytes(90), claimed=0), 0),  # up to the end
        (box(b"mdat", bytes(90)) + b"anything that is appended", 0),
        (box(b"mdat", bytes(90)) + bytes(100), 0),
        (b"short", 0),
        (b"", 0),
    ],
)
def test_boxes_of_mp4(tmp_path, content, missing):
    (tmp_path / "v").write_bytes(content)
    assert missing_bytes(tmp_path / "v", "mov,mp4,m4a,3gp,3g2,mj2") == missing


@pytest.mark.parametrize("content", [b"", b"\x1aE\xdf\xa3", b"\x1aE\xdf\xa3\x80other", b"\x1aE\xdf\xa3\x00"])
def test_a_matroska_file_without_a_segment(tmp_path, content):
    (tmp_path / "v").write_bytes(content)
    assert missing_bytes(tmp_path / "v", "matroska,webm") == 0


def test_a_list_is_refused_before_it_is_followed(tmp_path):
    """Into a pipe it would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "list.mp4").write_bytes(b"ffconcat version 1.0\nfile pipe\n")
    with pytest.raises(UnreadableVideo, match="list of other files"):
        probe_video(tmp_path / "list.mp4")


def test_a_file_that_is_no_video_is_closed_again(tmp_path):
    (tmp_path / "list").write_bytes(b"ffconcat version 1.0\nfile v.mp4\n")
    write_video(tmp_path / "v.mp4", 3)
    with (
        pytest.raises(UnreadableVideo, match="list of other files") as caught,
        open_container(tmp_path / "list"),
    ):
        pass
    assert caught.value.reason == "no_video"
