"""Packets written by hand after the standards, read for what decides a plan."""

from __future__ import annotations

import pytest

from vidkd.video.bitstream import NotPlannable, is_hidden, picture_reader

AVC_CONFIG = bytes([1, 100, 0, 13, 0xFF, 0xE1]) + b"\0\3\x67sp\1\0\3\x68pp"  # lengths of 4 bytes
AVC_444_CONFIG = bytes([1, 244]) + AVC_CONFIG[2:]
HEVC_CONFIG = bytes([1, *[0] * 20, 0xF3]) + b"\0\3\x40\1v"
# ISO/IEC 14496-2: type 1, version 1, square pixels, no control parameters, rectangular, 25 ticks a second
LAYER = int("0_00000001_0_0001_0_00_1_0000000000011001_1_00000", 2).to_bytes(5, "big")
MPEG4_CONFIG = b"\0\0\1\x20" + LAYER + b"\x3f\0\0\1\xb2Lavc1"
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
        (units(b"\x67sp", b"\x68pp", b"\x65ab"), True, True, False),
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


def vop(kind: int, coded: int = 1, seconds: str = "") -> bytes:
    """A picture of MPEG-4 part 2 at tick 3 of 25."""
    return b"\0\0\1\xb6" + int(f"{kind:02b}{seconds}0100011{coded}".ljust(24, "1"), 2).to_bytes(3, "big")


@pytest.mark.parametrize(
    ("kind", "entry", "between"), [(0, True, False), (1, False, False), (2, False, True)]
)
def test_mpeg4(kind, entry, between):
    picture = read("mpeg4", b"\0\0\1\xb0\1" + vop(kind) + bytes(40), extradata=MPEG4_CONFIG)
    assert (picture.entry, picture.between, picture.spare) == (entry, between, between)
    assert read("mpeg4", vop(kind, seconds="110"[:2]) + bytes(40), extradata=MPEG4_CONFIG) == picture


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        ((vop(1) + bytes(40)) * 2, "several"),
        (vop(1), "without"),
        (vop(1, coded=0) + bytes(40), "without"),
        (b"\0\0\1\xb6\x7f" + b"\xff" * 9 + bytes(40), "without"),  # seconds without an end
        (b"\0\0\1\xb6", "without"),
        (vop(1) + b"\0\0\1\xb3" + bytes(40), "without"),
        (b"\0\0\1\xb6" + bytes(40), "without"),  # no ones where the standard has them
    ],
)
def test_mpeg4_pictures_that_may_not_come_out_are_refused(packet, reason):
    with pytest.raises(NotPlannable, match=reason):
        read("mpeg4", packet, extradata=MPEG4_CONFIG)


def test_mpeg4_headers_must_be_those_before_the_first_picture():
    with pytest.raises(NotPlannable, match="no parameters"):
        picture_reader("mpeg4", None)
    reader = picture_reader("mpeg4", MPEG4_CONFIG)
    picture = vop(0) + bytes(40)
    once, known = b"\0\0\1\xb2XviD1", MPEG4_CONFIG
    assert reader(memoryview(once + picture), True).entry
    assert reader(memoryview(known + once + picture), True).entry
    assert not reader(memoryview(vop(1) + bytes(40)), False).entry
    with pytest.raises(NotPlannable, match="first packet only"):
        reader(memoryview(known + picture), True)
    with pytest.raises(NotPlannable, match="new parameters"):
        reader(memoryview(once.replace(b"1", b"2") + picture), True)


@pytest.mark.parametrize("kind", [b"\x67", b"\x68"])
def test_h264_parameters_must_be_those_of_the_header(kind):
    with pytest.raises(NotPlannable, match="new parameters"):
        read("h264", units(kind + b"s", b"\x65ab"), True, AVC_CONFIG)


@pytest.mark.parametrize(
    ("config", "build", "refused"),
    [
        (AVC_CONFIG, 33, True),
        (AVC_CONFIG, 34, False),
        (AVC_444_CONFIG, 150, True),
        (AVC_444_CONFIG, 151, False),
    ],
)
def test_old_encoders_of_h264_are_refused(config, build, refused):
    packet = units(b"\6\5\x80" + bytes(16) + b"x264 - core %d r1" % build, b"\x65ab")
    if refused:
        with pytest.raises(NotPlannable, match="old version"):
            read("h264", packet, True, config)
    else:
        assert read("h264", packet, True, config).entry


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (units(b"\x26\1\x40"), "splice"),  # IDR, no_output_of_prior_pics_flag
        (units(b"\x20\1\0"), "splice"),  # BLA
        (units(b"\2\1\0", b"\x48\1"), "sequence ends"),
        (units(b"\x40\1w", b"\x26\1\0"), "new parameters"),
        (units(b"\x26\1"), "length"),
    ],
)
def test_hevc_that_goes_on_otherwise_is_refused(later, reason):
    reader = picture_reader("hevc", HEVC_CONFIG)
    assert reader(memoryview(units(b"\x40\1v", b"\x26\1\x40")), True).entry
    assert reader(memoryview(units(b"\x40\1v", b"\x26\1\0")), True).entry
    with pytest.raises(NotPlannable, match=reason):
        reader(memoryview(later), True)


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    """A JPEG up to its scan (ITU-T T.81, annex B)."""
    coded = (bytes([0xFF, kind]) + (len(rest) + 2).to_bytes(2, "big") + rest for kind, rest in segments)
    return b"\xff\xd8" + b"".join(coded) + b"\xff\xda\0\2scan"


QUANTIZER, DEEP_QUANTIZER = (0xDB, bytes(65)), (0xDB, b"\x11" + bytes(128))
CODE = (0xC4, b"\x10\1" + bytes(16))


def test_jpeg_pictures_bring_all_tables_that_one_before_brought():
    reader = picture_reader("mjpeg", None)
    for segments in ([QUANTIZER], [QUANTIZER, CODE], [CODE, (0xDB, QUANTIZER[1] + DEEP_QUANTIZER[1])]):
        assert reader(memoryview(jpeg(*segments)), True).entry
    with pytest.raises(NotPlannable, match="tables"):
        reader(memoryview(jpeg(QUANTIZER, CODE)), True)


@pytest.mark.parametrize("packet", [b"", b"\0" + jpeg(), jpeg((0xC2, b"")), jpeg(QUANTIZER)[:20]])
def test_other_jpeg_is_refused(packet):
    with pytest.raises(NotPlannable, match="baseline"):
        read("mjpeg", packet)


def test_codecs_without_a_reader_are_refused():
    with pytest.raises(NotPlannable, match="no plan for mpeg2video"):
        picture_reader("mpeg2video", None)
