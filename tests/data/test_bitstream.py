"""Packets written by hand after the standards, read for what decides a plan."""

from __future__ import annotations

import pytest

from vidkd.data.bitstream import NotPlannable, is_hidden, picture_reader

AVC_CONFIG = bytes([1, 100, 0, 13, 0xFF])  # lengths of 4 bytes
HEVC_CONFIG = bytes([1, *[0] * 20, 0xF3])
RECOVERY_AT_ONCE = bytes([6, 6, 1, 0b11000000, 0x80])  # recovery_frame_cnt 0, exact_match_flag 1
RECOVERY_LATER = bytes([6, 6, 1, 0b01011000, 0x80])
RECOVERY_INEXACT = bytes([6, 6, 1, 0b10000000, 0x80])


def units(*contents: bytes) -> bytes:
    """Units with their lengths before them."""
    return b"".join(len(content).to_bytes(4, "big") + content for content in contents)


def read(codec, packet, key=True, extradata=None):
    return picture_reader(codec, extradata)(memoryview(packet), key)


@pytest.mark.parametrize(
    ("packet", "key", "entry", "spare"),
    [
        (units(b"\x65ab"), True, True, False),
        (units(b"\x67sps", b"\x68pps", b"\x65ab"), True, True, False),
        (units(b"\x65ab"), False, False, False),
        (units(b"\x41ab"), True, False, False),
        (units(RECOVERY_AT_ONCE, b"\x41ab"), True, True, False),
        (units(RECOVERY_LATER, b"\x41ab"), True, False, False),
        (units(RECOVERY_INEXACT, b"\x41ab"), True, False, False),
        (units(b"\x41ab"), False, False, False),
        (units(b"\x01ab"), False, False, True),
        (units(b"\x06\x01\x01\x80", b"\x01ab"), False, False, True),
    ],
)
def test_h264(packet, key, entry, spare):
    picture = read("h264", packet, key, AVC_CONFIG)
    assert (picture.entry, picture.spare, picture.shown) == (entry, spare, True)


@pytest.mark.parametrize("packet", [b"", b"\0\0", units(b"\x67sps"), b"\0\0\0\x09\x67"])
def test_packets_without_a_whole_picture_are_refused(packet):
    with pytest.raises(NotPlannable):
        read("h264", packet, True, AVC_CONFIG)


@pytest.mark.parametrize("extradata", [None, b"", b"\0\0\0\1\x67sps"])
def test_units_without_lengths_are_refused(extradata):
    with pytest.raises(NotPlannable, match="length"):
        picture_reader("h264", extradata)


@pytest.mark.parametrize(
    ("kind", "layer", "entry", "spare"),
    [
        (19, 0, True, False),
        (21, 0, True, False),
        (1, 0, False, False),
        (0, 0, False, True),
        (8, 2, False, True),
    ],
)
def test_hevc(kind, layer, entry, spare):
    picture = read("hevc", units(bytes([kind << 1, layer + 1]) + b"ab"), True, HEVC_CONFIG)
    assert (picture.entry, picture.spare, picture.layered) == (entry, spare, layer > 0)


def test_vp8_frame_that_is_not_shown():
    assert read("vp8", b"\x10").shown
    assert not read("vp8", b"\x00").shown
    assert is_hidden("vp8", memoryview(b"\x00"))
    assert not is_hidden("vp9", memoryview(b"\x00"))


SHOWN, HIDDEN, EXISTING = b"\x82ab", b"\x80ab", b"\x88"


def superframe(*frames: bytes) -> bytes:
    """VP9 frames with their index (annex B of the VP9 specification), sizes of one byte."""
    marker = bytes([0xC0 | len(frames) - 1])
    return b"".join(frames) + marker + bytes(map(len, frames)) + marker


@pytest.mark.parametrize(
    ("packet", "shown"),
    [
        (SHOWN, True),
        (HIDDEN, False),
        (EXISTING, True),
        (superframe(HIDDEN, SHOWN), True),
        (superframe(HIDDEN, EXISTING), True),
        (b"\xb1ab", True),  # profile 3
        (b"\xb0ab", False),
    ],
)
def test_vp9(packet, shown):
    assert read("vp9", packet).shown == shown


def test_vp9_of_several_layers_is_refused():
    with pytest.raises(NotPlannable, match="several"):
        read("vp9", superframe(SHOWN, SHOWN))


@pytest.mark.parametrize(
    ("kind", "entry", "between"), [(0, True, False), (1, False, False), (2, False, True)]
)
def test_mpeg4(kind, entry, between):
    vop = b"\0\0\1\xb6" + bytes([kind << 6]) + bytes(40)
    picture = read("mpeg4", b"\0\0\1\xb0\1" + vop)
    assert (picture.entry, picture.between, picture.spare) == (entry, between, between)
    with pytest.raises(NotPlannable, match="several"):
        read("mpeg4", vop + vop)
    with pytest.raises(NotPlannable, match="without"):
        read("mpeg4", vop[:8])


def test_codecs_without_a_reader_are_refused():
    with pytest.raises(NotPlannable, match="no plan for mpeg2video"):
        picture_reader("mpeg2video", None)
