"""Files whose packets contradict what a plan is made from; each must be decoded in sequence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import av

from tests.video.encodings import BY_NAME, CONTINUED, FRAMES, NOT_CODED, RATE, Encoding

END_OF_SEQUENCE = b"\0\0\0\2" + bytes([36 << 1, 1])
VOP = b"\0\0\1\xb6"


def remux(
    sources: Sequence[Path],
    target: Path,
    edit: Callable[[int, bytes], bytes] = lambda number, content: content,
    stamps: Mapping[int, int] | None = None,
) -> Path:
    """Copy the packets of one or more files, one after the other, with the header of the first.

    Args:
        sources: files of FRAMES frames each.
        target: the file to write.
        edit: from number and bytes of a packet to the bytes to write.
        stamps: packets that get the time stamp of another, by number.
    """
    with av.open(str(target), "w") as container:
        stream, number = None, 0
        for part, source in enumerate(sources):
            with av.open(str(source)) as given:
                template = given.streams.video[0]
                stream = stream or container.add_stream_from_template(template)
                packets = [packet for packet in given.demux(template) if packet.size]
                later = int(part * FRAMES / RATE / template.time_base)
                for packet in packets:
                    new = av.Packet(edit(number, bytes(packet)))
                    stamp = packets[stamps[number]].pts if stamps and number in stamps else packet.pts
                    new.pts, new.dts = stamp + later, packet.dts + later
                    new.time_base, new.stream, new.is_keyframe = packet.time_base, stream, packet.is_keyframe
                    container.mux(new)
                    number += 1
    return target


def edited(name: str, edit: Callable[[int, bytes], bytes]) -> Callable[[Path], Path]:
    """How to write an encoding with other packets."""
    return lambda folder: remux([BY_NAME[name].write(folder)[0]], folder / f"edited_{name}", edit)


def joined(first: Encoding, **options: str) -> Callable[[Path], Path]:
    """How to write an encoding twice into one file, the second time with more options."""

    def write(folder: Path) -> Path:
        second = replace(first, name=f"second_{first.name}", options=first.options | options)
        return remux([first.write(folder)[0], second.write(folder)[0]], folder / f"joined_{first.name}")

    return write


def without_offsets(folder: Path) -> Path:
    """An MP4 with B-frames whose time stamps are those of decoding."""
    path, _ = BY_NAME["h264_b3.mp4"].write(folder)
    path.write_bytes(path.read_bytes().replace(b"ctts", b"free"))
    return path


def with_swapped_stamps(folder: Path) -> Path:
    """Two neighbouring frames have each other's time stamp."""
    source, _ = BY_NAME["h264_b3.mp4"].write(folder)
    with av.open(str(source)) as container:
        stamps = [packet.pts for packet in container.demux(video=0) if packet.size]
    one, other = sorted(range(FRAMES), key=stamps.__getitem__)[30:32]
    return remux([source], folder / "swapped.mp4", stamps={one: other, other: one})


def slices(change: Callable[[bytearray], None]) -> Callable[[int, bytes], bytes]:
    """An edit of the units of HEVC keyframes after the first packet."""

    def edit(number: int, content: bytes) -> bytes:
        changed, place = bytearray(), 0
        while place < len(content):
            end = place + 4 + int.from_bytes(content[place : place + 4], "big")
            unit = bytearray(content[place + 4 : end])
            if number and unit[0] >> 1 in range(16, 22):
                change(unit)
            changed += content[place : place + 4] + unit
            place = end
        return bytes(changed)

    return edit


def break_link(unit: bytearray) -> None:
    unit[0] = 16 << 1


def output_no_prior(unit: bytearray) -> None:
    unit[2] |= 0x40


def ended(number: int, content: bytes) -> bytes:
    return content + END_OF_SEQUENCE * (number == 30)


def other_encoder(number: int, content: bytes) -> bytes:
    return content.replace(b"\xb2Lavc", b"\xb2Xavc") if number else content


def named_once(number: int, content: bytes) -> bytes:
    return content if number else content.replace(VOP, CONTINUED[:-1] + VOP)


def long_placeholder(rest: bytes) -> Callable[[int, bytes], bytes]:
    """An edit that puts a picture that is not coded, and more bytes, for a coded one."""
    return lambda number, content: NOT_CODED + rest if number == 30 else content


def tables_once(number: int, content: bytes) -> bytes:
    return content.replace(b"\xff\xdb", b"\xff\xfe") if number else content


def old_encoder(number: int, content: bytes) -> bytes:
    return re.sub(rb"x264 - core \d+", b"x264 - core 030", content)


REPEATED_H264 = Encoding("h264.mp4", "libx264", {"g": "24", "bf": "3", "x264-params": "repeat-headers=1"})
_REPEATED = "log-level=none:keyint=24:repeat-headers=1"
REPEATED_HEVC = Encoding("hevc.mp4", "libx265", {"preset": "ultrafast", "x265-params": _REPEATED})
CRAFTED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "stamps of decoding": (without_offsets, "those of decoding"),
    "H.264 parameters change": (
        joined(REPEATED_H264, **{"x264-params": "repeat-headers=1:chroma-qp-offset=6"}),
        "new param",
    ),
    "HEVC parameters change": (
        joined(REPEATED_HEVC, **{"x265-params": f"{_REPEATED}:cbqpoffs=6"}),
        "new param",
    ),
    "broken link": (edited("hevc_open_gop.mp4", slices(break_link)), "splice"),
    "no output of prior": (edited("hevc_closed.mp4", slices(output_no_prior)), "splice"),
    "end of sequence": (edited("hevc_open_gop.mp4", ended), "sequence ends"),
    "another encoder": (edited("mpeg4_b0.avi", other_encoder), "new parameters"),
    "encoder named once": (edited("mpeg4_b0.avi", named_once), "first packet only"),
    "long placeholder": (edited("mpeg4_b0.avi", long_placeholder(b"\0\0\1\xb3" + bytes(40))), "without"),
    "stuffed placeholder": (edited("mpeg4_b0.mkv", long_placeholder(b"\x7f" * 40)), "without"),
    "tables once": (edited("mjpeg.avi", tables_once), "tables"),
    "old x264": (edited("h264_b3.mp4", old_encoder), "old version"),
}
