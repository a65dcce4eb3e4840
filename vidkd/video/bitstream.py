"""What the first bytes of a coded packet say about its picture, for the codecs where that decides a plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_H264_SLICES = range(1, 6)
_H264_IDR, _H264_SEI, _SEI_RECOVERY_POINT = 5, 6, 6
_H264_PARAMETERS = (7, 8, 13, 15)
_H264_PROFILES_444 = (44, 144, 244)
_X264_BUILD = re.compile(rb"x264 - core (\d+)")
_HEVC_SLICES = range(32)
_HEVC_RANDOM_ACCESS = range(16, 22)
_HEVC_BROKEN_LINKS, _HEVC_IDR = range(16, 19), range(19, 21)
_HEVC_PARAMETERS, _HEVC_ENDS = (32, 33, 34), (36, 37)
_MPEG4_CODE = b"\x00\x00\x01"
_MPEG4_VOP, _MPEG4_USER_DATA, _MPEG4_LAYERS = b"\xb6", b"\xb2", range(0x20, 0x30)
_MPEG4_PICTURE, _MPEG4_I = _MPEG4_CODE + _MPEG4_VOP, b"\x3f"
_62_BITS = (1 << 62) - 1
_NOT_CODED_VOP_BYTES = 16  # a picture no longer than this may be a placeholder for which no frame comes out
_JPEG_START, _JPEG_SCAN = b"\xff\xd8", 0xDA
_JPEG_QUANTIZERS, _JPEG_CODES, _JPEG_RESTARTS = 0xDB, 0xC4, 0xDD
_JPEG_OTHER_FRAMES = {*range(0xC2, 0xD0)} - {_JPEG_CODES, 0xC8, 0xCC}


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
    """Return the reader of the packets of a codec, by its canonical name.

    Raises:
        NotPlannable: there is no reader for it; a reader raises it where a packet is not one picture.
    """
    if codec not in _READERS:
        raise NotPlannable(f"no plan for {codec}")
    return _READERS[codec](extradata or b"")


def _nal_length_size(codec: str, extradata: bytes) -> int:
    """How many bytes give the length of a unit in MP4 and Matroska."""
    position = {"h264": 4, "hevc": 21}[codec]
    if len(extradata) <= position or extradata[0] != 1:
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


def _check_known(unit: memoryview, extradata: bytes) -> None:
    """Parameters that are not those of the header hold from here on, also for a plan that begins later."""
    if len(unit).to_bytes(2, "big") + unit.tobytes() not in extradata:
        raise NotPlannable("new parameters on the way")


class _H264:
    """Reads H.264 in units with a length."""

    def __init__(self, extradata: bytes) -> None:
        self._length_size = _nal_length_size("h264", extradata)
        self._extradata = extradata

    def __call__(self, packet: memoryview, key: bool) -> Picture:
        size = self._length_size
        if not key and len(packet) > size and packet[size] & 31 in _H264_SLICES:
            return _PLAIN if packet[size] & 96 else _SPARE  # nearly every packet: no loop over its units
        recovers = False
        for unit in _nal_units(packet, size):
            kind = unit[0] & 31
            if kind in _H264_SLICES:
                if key and (kind == _H264_IDR or recovers):
                    return _ENTRY
                return _PLAIN if unit[0] & 96 else _SPARE
            if kind in _H264_PARAMETERS:
                _check_known(unit, self._extradata)
            if kind == _H264_SEI:
                self._check_encoder(unit)
                recovers |= _recovers_at_once(unit)
        raise NotPlannable("a packet without a picture")

    def _check_encoder(self, unit: memoryview) -> None:
        """Of old x264 the decoder corrects errors, where it has seen the packet that names it."""
        name = _X264_BUILD.search(unit)
        is_444 = self._extradata[1] in _H264_PROFILES_444
        if name and (int(name[1]) <= 33 or (is_444 and int(name[1]) < 151)):
            raise NotPlannable("an old version of x264")


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


class _Hevc:
    """Reads HEVC in units with a length."""

    def __init__(self, extradata: bytes) -> None:
        self._length_size = _nal_length_size("hevc", extradata)
        self._extradata = extradata
        self._begun = False

    def __call__(self, packet: memoryview, key: bool) -> Picture:
        picture: Picture | None = None
        for unit in _nal_units(packet, self._length_size):
            kind = unit[0] >> 1 & 63
            if kind in _HEVC_PARAMETERS:
                _check_known(unit, self._extradata)
            elif kind in _HEVC_ENDS:
                raise NotPlannable("a sequence ends on the way")
            elif kind in _HEVC_SLICES and picture is None:
                picture = self._picture(unit, kind, key)
        if picture is None:
            raise NotPlannable("a packet without a picture")
        self._begun = True
        return picture

    def _picture(self, slice_: memoryview, kind: int, key: bool) -> Picture:
        if len(slice_) < 3:
            raise NotPlannable("a unit of impossible length")
        drops_earlier = kind in _HEVC_BROKEN_LINKS or (kind in _HEVC_IDR and slice_[2] & 0x40)
        if drops_earlier and self._begun:
            raise NotPlannable("pictures are dropped at a splice")
        entry, spare = key and kind in _HEVC_RANDOM_ACCESS, kind < 16 and kind % 2 == 0
        return Picture(entry=entry, spare=spare, layered=slice_[1] & 7 != 1)


def is_hidden(codec: str, packet: memoryview) -> bool:
    """Tell whether no frame comes out for a packet: the alternate reference frames of VP8."""
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


class _Mpeg4:
    """Reads MPEG-4 part 2."""

    def __init__(self, extradata: bytes) -> None:
        self._known = _mpeg4_headers(extradata.split(_MPEG4_CODE)[1:])
        self._repeated: list[bytes] | None = None  # what only the packets say, so that each entry must say it
        layers = [header for header in self._known if header[0] in _MPEG4_LAYERS]
        if not layers:
            raise NotPlannable("no parameters before the first packet")
        self._time_bits = _mpeg4_time_bits(layers[-1])

    def __call__(self, packet: memoryview, key: bool) -> Picture:
        content = packet.tobytes()
        alone = content.startswith(_MPEG4_PICTURE) and content.find(_MPEG4_CODE, 4) < 0
        if alone and content[4:5] > _MPEG4_I:
            return self._picture(content[3:])  # nearly every packet: no I picture, and no headers
        sections = content.split(_MPEG4_CODE)[1:]
        headers = _mpeg4_headers(sections) if len(sections) > 1 else []
        if self._repeated is None:
            self._repeated = [header for header in headers if header not in self._known]
            self._known += self._repeated
        if any(header not in self._known for header in headers):
            raise NotPlannable("new parameters on the way")
        vops = [section for section in sections if section.startswith(_MPEG4_VOP)]
        if len(vops) > 1:
            raise NotPlannable("a packet of several pictures")
        picture = self._picture(vops[0] if vops else b"")
        if picture.entry and any(header not in headers for header in self._repeated):
            raise NotPlannable("parameters in the first packet only")
        return picture

    def _picture(self, vop: bytes) -> Picture:
        if len(vop) <= _NOT_CODED_VOP_BYTES or not self._is_coded(vop):
            raise NotPlannable("a packet without a picture")
        return _VOP_PICTURES[vop[1] >> 6]

    def _is_coded(self, vop: bytes) -> bool:
        """Whether a frame comes out for a picture; false also where its header breaks the standard."""
        head = int.from_bytes(vop[1:9], "big")
        below_seconds = (~head & _62_BITS).bit_length()  # after the type: whole seconds as ones, a zero
        below_time = below_seconds - 2 - self._time_bits  # a one, the time, a one, a one if it is coded
        return below_time > 1 and head >> below_seconds - 2 & 1 == 1 and head >> below_time - 2 & 3 == 3


def _mpeg4_headers(sections: list[bytes]) -> list[bytes]:
    """The parameters of a stream and what its encoder says of itself, both of which the decoder remembers.

    That a stream is packed, which the last letter of DivX's name tells, is removed where it is unpacked.
    """
    layers = [section.rstrip(b"\0") for section in sections if section[:1] and section[0] in _MPEG4_LAYERS]
    names = [section.rstrip(b"\0p") for section in sections if section.startswith(_MPEG4_USER_DATA)]
    return layers + names


def _mpeg4_time_bits(layer: bytes) -> int:
    """How many bits of a picture's header give its time within a second."""
    bits = _bits(layer[1:25].ljust(24, b"\0"))
    place = 9  # random access, type
    place += 8 if bits[place] == "1" else 1  # version and priority
    place += 20 if bits[place : place + 4] == "1111" else 4  # aspect ratio
    if bits[place] == "1":  # control parameters
        place += 84 if bits[place + 4] == "1" else 5
    else:
        place += 1
    if bits[place : place + 2] != "00":
        raise NotPlannable("pictures that are not rectangular")
    return max(1, (int(bits[place + 3 : place + 19], 2) - 1).bit_length())


def _bits(content: bytes) -> str:
    return f"{int.from_bytes(content, 'big'):0{8 * len(content)}b}"


class _Mjpeg:
    """Reads JPEG pictures that need no table of another."""

    def __init__(self, extradata: bytes) -> None:
        self._tables: set[tuple[int, int]] = set()

    def __call__(self, packet: memoryview, key: bool) -> Picture:
        tables = _jpeg_tables(packet)
        if not tables >= self._tables:
            raise NotPlannable("a picture without tables that another has")
        self._tables = tables
        return _ENTRY


def _jpeg_tables(packet: memoryview) -> set[tuple[int, int]]:
    """Marker and number of each table that a baseline JPEG picture has before its scan."""
    tables: set[tuple[int, int]] = set()
    place = 2
    while packet[:2] == _JPEG_START and place + 4 <= len(packet) and packet[place] == 0xFF:
        kind, end = packet[place + 1], place + 2 + int.from_bytes(packet[place + 2 : place + 4], "big")
        if kind == _JPEG_SCAN:
            return tables
        if kind in _JPEG_OTHER_FRAMES:
            break
        if kind == _JPEG_RESTARTS:
            tables.add((kind, 0))
        place += 4
        while kind in (_JPEG_QUANTIZERS, _JPEG_CODES) and place < end <= len(packet):
            number = packet[place]
            tables.add((kind, number & 0x1F if kind == _JPEG_CODES else number & 15))
            if kind == _JPEG_CODES:
                place += 17 + sum(packet[place + 1 : place + 17])
            else:
                place += 65 if number < 16 else 129
        place = end
    raise NotPlannable("no baseline JPEG")


def _keyed_picture(packet: memoryview, key: bool) -> Picture:
    return _ENTRY if key else _PLAIN


_READERS: dict[str, Callable[[bytes], PictureReader]] = {
    "h264": _H264,
    "hevc": _Hevc,
    "vp8": lambda _: _vp8_picture,
    "vp9": lambda _: _vp9_picture,
    "av1": lambda _: _keyed_picture,
    "mpeg4": _Mpeg4,
    "mjpeg": _Mjpeg,
}
