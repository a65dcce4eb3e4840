"""Known colours in, known colours out: expectations are worked out from the standards' formulas alone."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidkd.video.decode import decode_frames, probe_video

HEIGHT, WIDTH = 64, 256
COLOURS = np.uint8(
    [
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
        [255, 255, 255],
        [0, 0, 0],
        [128, 128, 128],
        [200, 100, 50],
        [20, 60, 180],
    ]
)
LIMITED, FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
MATRICES = {5: (0.299, 0.114), 1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}
"""Shares of red and blue in luma by AVCOL_SPC: BT.601, BT.709, BT.2020."""
LOSSLESS = {"libx264": {"qp": "0"}, "libx265": {"x265-params": "lossless=1:log-level=none"}}


def planes_of(colours: np.ndarray, matrix: int, colour_range: int, bits: int) -> list[np.ndarray]:
    """Y, Cb and Cr of colours (N, 3) by ITU-R BT.601, BT.709 or BT.2020."""
    share_red, share_blue = MATRICES[matrix]
    red, green, blue = (colours / 255.0).T
    luma = share_red * red + (1 - share_red - share_blue) * green + share_blue * blue
    chroma = [(blue - luma) / (2 - 2 * share_blue), (red - luma) / (2 - 2 * share_red)]
    scale, most = 2 ** (bits - 8), 2**bits - 1
    if colour_range == FULL:
        values = [luma * most, *(part * most + 128 * scale for part in chroma)]
    else:
        values = [(219 * luma + 16) * scale, *((224 * part + 128) * scale for part in chroma)]
    return [np.clip(np.round(value), 0, most) for value in values]


def write(
    path: Path, pixel_format: str, planes: list[np.ndarray], codec: str, matrix: int, colour_range: int
) -> Path:
    """Three frames of vertical stripes, one for each value of the planes, without loss."""
    kind = np.uint16 if pixel_format.endswith("le") else np.uint8
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=LOSSLESS.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, colour_range
        frame = av.VideoFrame(WIDTH, HEIGHT, pixel_format)
        frame.colorspace, frame.color_range = matrix, colour_range
        for plane, values in zip(frame.planes, planes, strict=False):
            rows = np.zeros((plane.height, plane.line_size // np.dtype(kind).itemsize), kind)
            rows[:, : plane.width] = np.repeat(values, plane.width // len(values))
            plane.update(rows.tobytes())
        for number in range(3):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def stripes(path: Path, count: int) -> np.ndarray:
    """The colours (count, 3) in the middle of the stripes of the second frame."""
    frames, _ = decode_frames(path, [1])
    width = WIDTH // count
    return frames[0][HEIGHT // 2, width // 2 :: width].astype(int)


@pytest.mark.parametrize("colour_range", [LIMITED, FULL], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", MATRICES, ids=["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize(
    ("pixel_format", "codec", "bits"),
    [
        ("yuv420p", "libx264", 8),
        ("yuv444p", "libx264", 8),
        ("yuv420p10le", "libx264", 10),
        ("yuv444p10le", "libx264", 10),
        ("yuv420p12le", "libx265", 12),
    ],
)
def test_colours_are_those_encoded(tmp_path, pixel_format, codec, bits, matrix, colour_range):
    planes = planes_of(COLOURS, matrix, colour_range, bits)
    path = write(tmp_path / "v.mkv", pixel_format, planes, codec, matrix, colour_range)
    assert np.abs(stripes(path, len(COLOURS)) - COLOURS).max() <= 3


@pytest.mark.parametrize(
    ("pixel_format", "codec", "colour_range", "bits"),
    [
        ("yuvj420p", "libx264", FULL, 8),
        ("yuv420p", "libx264", LIMITED, 8),
        ("gray", "libx264", FULL, 8),
        ("gray", "libx264", LIMITED, 8),
        ("gray", "ffv1", FULL, 8),
        ("gray10le", "ffv1", FULL, 10),
    ],
)
def test_grey_ramp_is_stretched_only_where_its_range_is_limited(
    tmp_path, pixel_format, codec, colour_range, bits
):
    ramp = np.linspace(16, 235, 32).round()
    planes = [ramp * 2 ** (bits - 8), np.full(1, 128), np.full(1, 128)]
    path = write(tmp_path / "v.mkv", pixel_format, planes, codec, 5, colour_range)
    expected = ramp if colour_range == FULL else (ramp - 16) * 255 / 219
    got = stripes(path, 32)
    assert np.ptp(got, axis=1).max() <= 1
    assert np.abs(got - expected[:, None]).max() <= 1.5


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("v.webm", "libvpx-vp9", "yuv420p"),
        ("v.avi", "mpeg4", "yuv420p"),
        ("v.mkv", "ffv1", "yuv420p"),
        ("v.mp4", "libx264", "yuv444p"),
    ],
)
def test_odd_sizes_keep_their_last_row_and_column(tmp_path, name, codec, pixel_format):
    image = np.full((45, 61, 3), 60, np.uint8)
    image[:, 40:] = 200
    image[30:] = 130
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 45, 61, pixel_format
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    frames, _ = decode_frames(tmp_path / name, [2])
    info = probe_video(tmp_path / name)
    assert frames[0].shape == (info.height, info.width, 3) == image.shape
    for row, column in [(0, 0), (0, 60), (20, 60), (44, 0), (44, 60)]:
        np.testing.assert_allclose(frames[0][row, column], image[row, column], atol=12)


QUADRANTS = np.uint8([[[250, 20, 20], [20, 250, 20]], [[20, 20, 250], [240, 240, 240]]])
TURNS = [(degrees, mirrored) for degrees in (0, 90, 180, 270) for mirrored in (False, True)]


def write_quadrants(path: Path, degrees: int, mirrored: bool) -> Path:
    """Red, green; blue, white quadrants of a wide frame, with a display matrix."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.set_display_rotation(degrees, hflip=mirrored)
        image = QUADRANTS.repeat(32, 0).repeat(48, 1)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def displayed(path: Path) -> np.ndarray:
    """Where the quadrants are displayed, by the matrix in the file's track header (ISO/IEC 14496-12)."""
    content = path.read_bytes()
    a, b, _, c, d = struct.unpack_from(">5i", content, content.index(b"tkhd") + 4 + 40)
    expected = np.zeros_like(QUADRANTS)
    for q in (-1, 1):
        for p in (-1, 1):
            x, y = np.sign(a * p + c * q), np.sign(b * p + d * q)
            expected[(y + 1) // 2, (x + 1) // 2] = QUADRANTS[(q + 1) // 2, (p + 1) // 2]
    return expected


@pytest.mark.parametrize(("degrees", "mirrored"), TURNS)
def test_frames_are_turned_as_the_file_says(tmp_path, degrees, mirrored):
    path = write_quadrants(tmp_path / "v.mp4", degrees, mirrored)
    frames, _ = decode_frames(path, [1])
    info = probe_video(path)
    sideways = degrees in (90, 270)
    assert frames[0].shape == ((96, 64, 3) if sideways else (64, 96, 3)) == (info.height, info.width, 3)
    height, width = info.height, info.width
    centres = frames[0][height // 4 :: height // 2, width // 4 :: width // 2]
    np.testing.assert_allclose(centres, displayed(path), atol=25)


def test_pixels_that_are_not_square_stay_as_they_are_stored(tmp_path):
    with av.open(str(tmp_path / "v.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        container.mux(stream.encode(av.VideoFrame(96, 64, "yuv420p")))
        container.mux(stream.encode(None))
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
    assert decode_frames(tmp_path / "v.mp4", [0])[0][0].shape == (64, 96, 3)
    assert (probe_video(tmp_path / "v.mp4").height, probe_video(tmp_path / "v.mp4").width) == (64, 96)
