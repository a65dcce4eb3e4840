from __future__ import annotations

import importlib
import sys

import av
import numpy as np
import pytest
import torch

from tests.data.videos import CLIPS, needs_clips, number_of, write_video
from tests.video.encodings import ENCODINGS
from tests.video.test_colours import TURNS, write_quadrants
from vidkd.config.data import FrameSettings
from vidkd.data.extract import sampled_frames
from vidkd.data.sampling import segment_centres
from vidkd.errors import UserError
from vidkd.video.decode import TooFewFrames, decode_frames, decoder_of, decoder_version


def unavailable() -> str:
    """Why torchcodec cannot be used here; nothing when it can."""
    try:
        importlib.import_module("torchcodec.decoders")
    except (ImportError, RuntimeError, OSError) as error:
        return f"torchcodec cannot be loaded: {str(error).strip().splitlines()[0]}"
    return ""


needs_torchcodec = pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "it can")
NVDEC_LEVELS = 3
"""How far the colours of NVDEC may be from those of PyAV, in levels of 255 on average."""


@pytest.fixture(autouse=True)
def _on_a_cpu(request, monkeypatch):
    """Where there is a GPU, its decoder would be taken, whose colours are others."""
    if request.node.get_closest_marker("gpu") is None:
        monkeypatch.setattr("vidkd.video.torchcodec_backend._device", lambda: "cpu")


@needs_torchcodec
@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
def test_frames_and_pixels_are_those_of_pyav(tmp_path, encoding):
    path, numbers = encoding.write(tmp_path)
    wanted = segment_centres(len(numbers), 16).tolist()
    frames, seconds = decode_frames(path, wanted, decoder="torchcodec")
    assert [number_of(frame) for frame in frames] == [numbers[index] for index in wanted]
    expected, expected_seconds = decode_frames(path, wanted)
    np.testing.assert_array_equal(frames, expected)
    np.testing.assert_array_equal(seconds, expected_seconds)


@needs_torchcodec
def test_torchcodec_is_really_what_decodes(tmp_path, monkeypatch):
    """PyAV's two ways are taken away; plain H.264 and VP9 are decoded all the same, the AVI is not."""
    for name in ("_decode_planned", "_decode_in_sequence"):
        monkeypatch.setattr(f"vidkd.video.decode.{name}", None)
    for path in (write_video(tmp_path / "v.mp4", 30), write_video(tmp_path / "v.webm", 30, "libvpx-vp9")):
        frames, _ = decode_frames(path, [3, 3, 20], decoder="torchcodec")
        assert [number_of(frame) for frame in frames] == [3, 3, 20]
    with pytest.raises(TypeError):
        decode_frames(write_video(tmp_path / "v.avi", 30, "mpeg4"), [3], decoder="torchcodec")


@needs_torchcodec
@pytest.mark.parametrize(("degrees", "mirrored"), TURNS)
def test_turned_frames_are_those_of_pyav(tmp_path, degrees, mirrored):
    path = write_quadrants(tmp_path / "v.mp4", degrees, mirrored)
    np.testing.assert_array_equal(
        decode_frames(path, [1], decoder="torchcodec")[0], decode_frames(path, [1])[0]
    )


@needs_torchcodec
def test_interlaced_frames_are_those_of_pyav(tmp_path):
    path, noise = tmp_path / "v.mp4", np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"x264-params": "interlaced=1"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for image in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    np.testing.assert_array_equal(
        decode_frames(path, [0, 2], decoder="torchcodec")[0], decode_frames(path, [0, 2])[0]
    )


@needs_torchcodec
def test_index_past_the_end_tells_how_many_decode(tmp_path):
    with pytest.raises(TooFewFrames) as caught:
        decode_frames(write_video(tmp_path / "v.mp4", 7), [7], decoder="torchcodec")
    assert caught.value.decoded == 7


@needs_torchcodec
@needs_clips
@pytest.mark.parametrize("name", ["action/mm_demo.mp4", "other/dc_video_90.mov", "other/editlist.mp4"])
def test_real_clips_are_those_of_pyav(name):
    for got, expected in zip(
        decode_frames(CLIPS / name, [0, 2], decoder="torchcodec")[0],
        decode_frames(CLIPS / name, [0, 2])[0],
        strict=True,
    ):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.gpu
@needs_torchcodec
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_nvdec_gives_the_same_frames_in_colours_that_are_close(tmp_path, monkeypatch):
    path, wanted = write_video(tmp_path / "v.mp4", 40, bf="2"), [0, 3, 3, 17, 39]
    expected, expected_seconds = decode_frames(path, wanted)
    for name in ("_decode_planned", "_decode_in_sequence"):
        monkeypatch.setattr(f"vidkd.video.decode.{name}", None)
    frames, seconds = decode_frames(path, wanted, decoder="torchcodec")
    assert ", cuda; PyAV " in decoder_version("torchcodec")
    assert [number_of(frame) for frame in frames] == wanted
    np.testing.assert_array_equal(seconds, expected_seconds)
    for frame, other in zip(frames, expected, strict=True):
        assert np.abs(frame.astype(int) - other).mean() <= NVDEC_LEVELS


def test_version_names_what_decodes():
    assert decoder_of(decoder_version()) == "pyav"
    if not unavailable():
        assert decoder_of(decoder_version("torchcodec")) == "torchcodec"
        assert ", cpu; PyAV " in decoder_version("torchcodec")


def test_missing_package_is_said(tmp_path, monkeypatch):
    path = write_video(tmp_path / "v.mp4", 7)
    for name in [name for name in sys.modules if name.startswith("torchcodec")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    with pytest.raises(UserError, match=r"pip install '\.\[torchcodec\]'"):
        decode_frames(path, [0], decoder="torchcodec")
    with pytest.raises(UserError, match="apt-get install ffmpeg"):
        decoder_version("torchcodec")
    with pytest.raises(UserError, match=r"set frames\.decoder to pyav"):
        sampled_frames(path, 7, FrameSettings(decoder="torchcodec"))
