"""What the first bytes of a coded packet say about its picture, for the codecs where that decides a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

_VOP_START = b"\x00\x00\x01\xb6"
_NOT_CODED_VOP_BYTES = 19  # a picture no longer than this may be a placeholder for which no frame comes out
_H264_SLICES = range(1, 6)
_H264_IDR, _H264_SEI, _SEI_RECOVERY_POINT = 5, 6, 6
_HEVC_SLICES = range(32)
_HEVC_RANDOM_ACCESS = range(16, 22)


class NotPlannable(Exception):
    """This video, or these frames of it, must be decoded in sequence; the message says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The one picture of a packet.

    Attributes:
        entry: decoding may begin at it, and is exact for it and what is shown after it.
        shown: a frame comes out for it.
        spare: no other picture needs it.
        layered: it is in a temporal layer above 0; those below may be needed though they are spare.
        between: it is shown before the picture decoded before it (told for MPEG-4 part 2 only).
    """

    entry: bool
    shown: bool = True
    spare: bool = False
    layered: bool = False
    between: bool = False


_ENTRY, _PLAIN, _SPARE = Picture(entry=True), Picture(entry=False), Picture(entry=False, spare=True)
_VOP_PICTURES = (_ENTRY, _PLAIN, Picture(entry=False, spare=True, between=True), _PLAIN)  # I, P, B, S

PictureReader = Callable[[memoryview, bool], Picture]
"""From the bytes of a packet and whether its container calls it a keyframe."""


def picture_reader(codec: str, extradata: bytes | None) -> PictureReader:
    """How to read the packets of a codec, by its canonical name.

    Raises:
        NotPlannable: there is no reader for it; a reader raises it where a packet is not one picture.
    """
    if codec in ("h264", "hevc"):
        length_size = _nal_length_size(codec, extradata)
        read = _h264_picture if codec == "h264" else _hevc_picture
        return lambda packet, key: read(packet, key, length_size)
    if codec in _READERS:
        return _READERS[codec]
    raise NotPlannable(f"no plan for {codec}")


def _nal_length_size(codec: str, extradata: bytes | None) -> int:
    """How many bytes give the length of a unit in MP4 and Matroska."""
    position = {"h264": 4, "hevc": 21}[codec]
    if extradata is None or len(extradata) <= position or extradata[0] != 1:
        raise NotPlannable("units without a length")
    return (extradata[position] & 3) + 1


def _nal_units(packet: memoryview, length_size: int) -> Iterator[memoryview]:
    position, end = 0, len(packet)
    while position + length_size < end:
        start = position + length_size
        position = start + int.from_bytes(packet[position:start], "big")
        if position > end or position == start:
            raise NotPlannable("a unit of impossible length")
        yield packet[start:position]


def _h264_picture(packet: memoryview, key: bool, length_size: int) -> Picture:
    if not key and len(packet) > length_size and packet[length_size] & 31 in _H264_SLICES:
        return _PLAIN if packet[length_size] & 96 else _SPARE  # nearly every packet: no loop over its units
    recovers = False
    for unit in _nal_units(packet, length_size):
        kind = unit[0] & 31
        if kind in _H264_SLICES:
            if key and (kind == _H264_IDR or recovers):
                return _ENTRY
            return _PLAIN if unit[0] & 96 else _SPARE
        recovers |= kind == _H264_SEI and _recovers_at_once(unit)
    raise NotPlannable("a packet without a picture")


def _recovers_at_once(unit: memoryview) -> bool:
    """Whether the messages of an SEI unit have an exact recovery point of zero frames."""
    message = unit.tobytes().replace(b"\0\0\3", b"\0\0")  # as it was before escaping
    position = 1
    while position + 2 < len(message):
        kind, size = message[position], message[position + 1]
        if 255 in (kind, size):
            return False
        if kind == _SEI_RECOVERY_POINT:
            return (
                message[position + 2] & 0xC0 == 0xC0
            )  # the number 0 is coded as the bit 1; then: exact match
        position += 2 + size
    return False


def _hevc_picture(packet: memoryview, key: bool, length_size: int) -> Picture:
    for unit in _nal_units(packet, length_size):
        kind = unit[0] >> 1 & 63
        if kind in _HEVC_SLICES:
            entry, spare = key and kind in _HEVC_RANDOM_ACCESS, kind < 16 and kind % 2 == 0
            return Picture(entry=entry, spare=spare, layered=unit[1] & 7 != 1)
    raise NotPlannable("a packet without a picture")


def is_hidden(codec: str, packet: memoryview) -> bool:
    """Whether no frame comes out for a packet: the alternate reference frames of VP8."""
    return codec == "vp8" and not packet[0] & 0x10


def _vp8_picture(packet: memoryview, key: bool) -> Picture:
    return Picture(entry=key, shown=not is_hidden("vp8", packet))


def _vp9_picture(packet: memoryview, key: bool) -> Picture:
    shown = sum(map(_vp9_frame_shown, _vp9_frames(packet)))
    if shown > 1:  # spatial layers
        raise NotPlannable("a packet of several pictures")
    return Picture(entry=key, shown=shown == 1)


def _vp9_frames(packet: memoryview) -> list[memoryview]:
    """The frames of a superframe, or the one frame there is."""
    marker = packet[-1]
    count, bytes_each = (marker & 7) + 1, (marker >> 3 & 3) + 1
    index = 2 + count * bytes_each
    if marker & 0xE0 != 0xC0 or len(packet) < index or packet[-index] != marker:
        return [packet]
    sizes = packet[-index + 1 : -1]
    frames, start = [], 0
    for number in range(count):
        size = int.from_bytes(sizes[number * bytes_each : (number + 1) * bytes_each], "little")
        frames.append(packet[start : start + size])
        start += size
    return [frame for frame in frames if frame]


def _vp9_frame_shown(frame: memoryview) -> bool:
    header = frame[0]
    if header & 0x30 == 0x30:  # profile 3 has one more bit
        return bool(header & 4 or header & 1)
    return bool(header & 8 or header & 2)


def _mpeg4_picture(packet: memoryview, key: bool) -> Picture:
    content = packet.tobytes()
    start = content.find(_VOP_START)
    if start < 0 or len(content) - start <= _NOT_CODED_VOP_BYTES:
        raise NotPlannable("a packet without a picture")
    if content.find(_VOP_START, start + 4) >= 0:
        raise NotPlannable("a packet of several pictures")
    kind = content[start + 4] >> 6
    return _VOP_PICTURES[kind]


def _intra_picture(packet: memoryview, key: bool) -> Picture:
    return _ENTRY


def _keyed_picture(packet: memoryview, key: bool) -> Picture:
    return _ENTRY if key else _PLAIN


_READERS: dict[str, PictureReader] = {
    "vp8": _vp8_picture,
    "vp9": _vp9_picture,
    "av1": _keyed_picture,
    "mpeg4": _mpeg4_picture,
    "mjpeg": _intra_picture,
}
