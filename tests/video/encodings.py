"""The kinds of files that people have, encoded small, each frame carrying its own number."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.data.videos import HEIGHT, WIDTH, numbered

RATE = 25
FRAMES = 70
X264 = {"g": "24", "preset": "veryfast", "bf": "3"}
X265 = {"preset": "ultrafast", "crf": "20"}
MPEG4 = {"g": "24", "q": "2"}
VPX = {"g": "24", "crf": "20", "b": "0", "cpu-used": "8", "lag-in-frames": "16", "auto-alt-ref": "1"}
AV1 = {"preset": "12", "g": "24", "crf": "30"}
CONTINUED = b"\x00\x00\x01\xb2DivX503b1393p"
"""What XviD and DivX write into a stream that packs pictures."""
NOT_CODED = b"\x00\x00\x01\xb6\x50\x4f"
"""A placeholder picture: type P, time 0, 5 bits of it (25 frames a second), not coded."""


@dataclass(frozen=True)
class Encoding:
    """One kind of file.

    Attributes:
        name: of the file, with the suffix of its container.
        codec: name of the encoder.
        options: of the encoder.
        milliseconds: time stamp of frame k; None: constant rate.
        trimmed: an edit list shows only some frames.
        packed: B pictures are in the packet of the picture that they precede.
        hidden: frame 5 of a VP8 stream is not shown, as its encoders do with reference frames of their own.
        scale: how much larger than usual; the pictures of MPEG-4 must not be as small as placeholders.
        planned: whether it is decoded by plan.
    """

    name: str
    codec: str
    options: dict[str, str] = field(default_factory=dict)
    milliseconds: Callable[[int], int] | None = None
    trimmed: bool = False
    packed: bool = False
    hidden: bool = False
    scale: int = 1
    planned: bool = True

    def write(self, folder: Path) -> tuple[Path, Sequence[int]]:
        """Encode FRAMES frames; the file and the numbers that it shows."""
        path = folder / self.name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(self.codec, rate=RATE, options=self.options)
            stream.width, stream.height = self.scale * WIDTH, self.scale * HEIGHT
            stream.pix_fmt = "yuvj420p" if self.codec == "mjpeg" else "yuv420p"
            stream.codec_context.thread_count = 1
            if self.milliseconds:
                stream.codec_context.time_base = Fraction(1, 1000)
            packets = [packet for frame in self._frames() for packet in stream.encode(frame)]
            container.mux(_packed(packets) if self.packed else packets)
        if self.hidden:
            return path, _hide(path, packets[5])
        return path, _trim(path) if self.trimmed else range(FRAMES)

    def _frames(self) -> list[av.VideoFrame | None]:
        frames: list[av.VideoFrame | None] = []
        for number in range(FRAMES):
            image = numbered(number).repeat(self.scale, 0).repeat(self.scale, 1)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if self.milliseconds:
                frame.pts, frame.time_base = self.milliseconds(number), Fraction(1, 1000)
            frames.append(frame)
        return [*frames, None]


def uneven(number: int) -> int:
    """Time stamps with gaps of 20 to 60 ms and one of two seconds."""
    return 40 * number + int(20 * np.sin(number)) + 2000 * (number > 30)


def _trim(path: Path) -> range:
    """Let the edit list of an MP4 begin at frame 10 and show 40 frames."""
    content = bytearray(path.read_bytes())
    at = content.index(b"elst") + 12
    duration, start = struct.unpack_from(">Ii", content, at)
    with av.open(str(path)) as container:
        tick = int(1 / container.streams.video[0].time_base / RATE)
    struct.pack_into(">Ii", content, at, duration * 40 // FRAMES, start + 10 * tick)
    path.write_bytes(content)
    return range(10, 50)


def _hide(path: Path, packet: av.Packet) -> list[int]:
    """Clear the bit of a VP8 packet that shows its frame."""
    content = bytearray(path.read_bytes())
    content[content.index(bytes(packet))] &= ~0x10
    path.write_bytes(content)
    return [number for number in range(FRAMES) if number != 5]


def _packed(packets: list[av.Packet]) -> list[av.Packet]:
    """What XviD makes of I P B P B: the packets I, P and B, a placeholder, P and B, a placeholder."""
    is_between = [bytes(packet).partition(b"\x00\x00\x01\xb6")[2][0] >> 6 == 2 for packet in packets]
    packed = []
    for number, packet in enumerate(packets):
        follows = number + 1 < len(packets) and is_between[number + 1]
        content = bytes(packet)
        if packet.is_keyframe:
            content = content.replace(b"\x00\x00\x01\xb6", CONTINUED + b"\x00\x00\x01\xb6")
        if is_between[number]:
            content = NOT_CODED
        elif follows:
            content += bytes(packets[number + 1])
        new = av.Packet(content)
        new.pts = new.dts = number
        new.time_base, new.stream, new.is_keyframe = Fraction(1, RATE), packet.stream, packet.is_keyframe
        packed.append(new)
    return packed


def _x264(name: str, **more: object) -> Encoding:
    """H.264; what is not a field is an option of the encoder, with underscores for hyphens."""
    fields = {key: more.pop(key) for key in ("milliseconds", "trimmed", "planned", "scale") if key in more}
    options = {key.replace("_", "-"): str(value) for key, value in more.items()}
    return Encoding(f"h264_{name}", "libx264", X264 | options, **fields)


def _x265(name: str, params: str, planned: bool = True, **fields: object) -> Encoding:
    options = X265 | {"x265-params": f"keyint=24:log-level=none:{params}"}
    return Encoding(f"hevc_{name}", "libx265", options, planned=planned, **fields)


ENCODINGS = [
    *(_x264(f"b{bf}.{suffix}", bf=bf) for bf in (0, 3) for suffix in ("mp4", "mov", "mkv")),
    *(_x264(f"open_gop.{suffix}", x264_params="open-gop=1") for suffix in ("mp4", "mkv")),
    *(_x264(f"vfr.{suffix}", milliseconds=uneven) for suffix in ("mp4", "mkv")),
    *(_x264(f"edit_list.{suffix}", trimmed=True) for suffix in ("mp4", "mov")),
    _x264("edit_list_open_gop.mp4", trimmed=True, x264_params="open-gop=1"),
    _x264("one_gop.mp4", g=250),
    _x264("intra.mp4", g=1),
    _x264("intra_refresh.mp4", bf=0, x264_params="intra-refresh=1", scale=4),
    _x264("interlaced.mp4", x264_params="interlaced=1", planned=False),
    *(_x264(f"b3.{suffix}", planned=False) for suffix in ("ts", "flv")),
    _x264("b0.avi", bf=0, planned=False),
    _x265("closed.mp4", "open-gop=0:bframes=3"),
    _x265("open_gop.mp4", "open-gop=1:bframes=3"),
    _x265("open_gop.mkv", "open-gop=1:bframes=3"),
    _x265("edit_list.mp4", "open-gop=1:bframes=3", trimmed=True),
    _x265("layers.mkv", "bframes=3:temporal-layers=3"),
    _x265("b3.ts", "bframes=3", planned=False),
    *(Encoding(f"mpeg4_b0.{suffix}", "mpeg4", MPEG4, scale=4) for suffix in ("avi", "mp4", "mkv")),
    *(Encoding(f"mpeg4_b2.{suffix}", "mpeg4", MPEG4 | {"bf": "2"}, scale=4) for suffix in ("avi", "mp4")),
    Encoding("mpeg4_b2.mkv", "mpeg4", MPEG4 | {"bf": "2"}, scale=4),
    Encoding("mpeg4_packed.avi", "mpeg4", MPEG4 | {"bf": "1", "b_strategy": "0"}, packed=True, scale=4),
    *(Encoding(f"mjpeg.{suffix}", "mjpeg", {"q": "2"}) for suffix in ("avi", "mov", "mkv")),
    Encoding("mpeg2.ts", "mpeg2video", MPEG4 | {"bf": "2"}, planned=False),
    Encoding("mpeg2.mpg", "mpeg2video", MPEG4 | {"bf": "2"}, planned=False),
    Encoding("mpeg1.mpg", "mpeg1video", MPEG4 | {"bf": "2"}, planned=False),
    Encoding("mpeg2.mkv", "mpeg2video", MPEG4 | {"bf": "2"}, planned=False),
    *(Encoding(f"vp8.{suffix}", "libvpx", VPX) for suffix in ("webm", "mkv")),
    *(Encoding(f"vp9.{suffix}", "libvpx-vp9", VPX) for suffix in ("webm", "mkv", "mp4")),
    Encoding("vp8_hidden.webm", "libvpx", VPX, hidden=True),
    Encoding("vp9_vfr.webm", "libvpx-vp9", VPX, milliseconds=uneven),
    *(Encoding(f"av1.{suffix}", "libsvtav1", AV1) for suffix in ("mp4", "mkv", "webm")),
    Encoding("ffv1.mkv", "ffv1", planned=False),
]
BY_NAME = {encoding.name: encoding for encoding in ENCODINGS}
