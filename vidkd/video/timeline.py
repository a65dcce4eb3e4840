"""The display order of a video's packets, found by demuxing alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from operator import attrgetter

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.stream import Discard
from numpy.typing import NDArray

from vidkd.video.bitstream import NotPlannable, Picture, PictureReader, picture_reader

KEPT_BYTES = 64 << 20
"""Packets of a longer video are not kept from demuxing to decoding: it is demuxed twice."""

_TRUSTED = {"mov", "mp4", "matroska", "webm"}
_PACKS = b"DivX"  # what the encoders that do so write into the stream; the decoder unpacks no other
_MAX_REORDER = 16  # no codec lets a decoder hold more frames back


@dataclass
class Timeline:
    """The packets of a video, numbered in the order they are decoded.

    Attributes:
        display: packet numbers of the frames, in display order.
        rank: per packet, its time stamp, or its place in the display order where that is not to be trusted.
        entry: per packet, whether decoding may begin at it.
        tick: seconds in a unit of rank.
        spare: per packet, whether the decoder may leave it out when its own frame is not wanted.
        reorder: how many frames the decoder holds back to put them in order.
        packets: the packets, or None where they are too large to keep.
    """

    display: list[int]
    rank: list[int]
    entry: list[bool]
    tick: Fraction
    spare: list[bool]
    reorder: int
    packets: list[av.Packet] | None


def has_trusted_times(container: av.container.InputContainer) -> bool:
    """Tell whether packets of such a container carry the time at which they are displayed."""
    return bool(_TRUSTED & set(container.format.name.split(",")))


def numbered_packets(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    """Yield the packets of a stream; a packet of an AVI that holds several pictures becomes one for each."""
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    packets: Iterator[av.Packet] = filter(attrgetter("size"), container.demux(stream))
    if container.format.name != "avi" or stream.codec_context.name != "mpeg4":
        yield from packets
        return
    first = next(packets, None)
    if first is None:
        return
    packets = chain([first], packets)
    if _PACKS not in (stream.codec_context.extradata or b"") + bytes(first):
        yield from packets
        return
    unpack = BitStreamFilterContext("mpeg4_unpack_bframes", stream)
    for packet in packets:
        yield from unpack.filter(packet)


def read_timeline(container: av.container.InputContainer, stream: av.VideoStream) -> Timeline:
    """Demux a whole stream and find the display order of its packets.

    Raises:
        NotPlannable: the order cannot be trusted.
    """
    avi = container.format.name == "avi"
    codec, rate = stream.codec_context.codec.canonical_name, stream.average_rate
    if not avi and not has_trusted_times(container):
        raise NotPlannable(f"time stamps of {container.format.name} are not trusted")
    if avi and (codec not in ("mpeg4", "mjpeg") or not rate):
        raise NotPlannable(f"{codec} in AVI")
    notes = _PacketNotes(container, stream, picture_reader(codec, stream.codec_context.extradata))
    if not notes.pictures or not notes.pictures[0].entry:
        raise NotPlannable("the first packet is no keyframe")
    tick = stream.time_base
    if rate and avi:
        display = _order_by_type(notes.pictures)
        rank: list[int] = np.argsort(display).tolist()
        tick = 1 / rate
    else:
        display = _order_by_time(notes)
        rank = notes.pts
    reorder = stream.codec_context.reorder_depth
    if tick is None:
        raise NotPlannable("no unit of time")
    held_back = _held_back(np.array(rank))
    if (display and rank[display[0]] < rank[0]) or held_back > reorder:
        raise NotPlannable("the decoder would not put out every frame")
    if not avi and reorder and not held_back and len(rank) > reorder + 1:
        raise NotPlannable("time stamps may be those of decoding")
    layered = any(picture.layered for picture in notes.pictures)
    spare = [picture.spare and not layered for picture in notes.pictures]
    entry = [picture.entry for picture in notes.pictures]
    return Timeline(display, rank, entry, tick, spare, reorder, notes.kept)


class _PacketNotes:
    """What is noted of each packet while a stream is demuxed."""

    def __init__(
        self, container: av.container.InputContainer, stream: av.VideoStream, read: PictureReader
    ) -> None:
        self.pictures: list[Picture] = []
        self.pts: list[int] = []
        self.untimed = False
        self.discarded: set[int] = set()
        self.kept: list[av.Packet] | None = []
        room = KEPT_BYTES
        for number, packet in enumerate(numbered_packets(container, stream)):
            if packet.is_corrupt:
                raise NotPlannable("a damaged packet")
            for data in packet.iter_sidedata():  # has_sidedata takes six times as long to find none
                if data.data_type == "new_extradata":
                    raise NotPlannable("new parameters on the way")
            self.pictures.append(read(memoryview(packet), packet.is_keyframe))
            self.untimed |= packet.pts is None
            self.pts.append(packet.pts or 0)
            if packet.is_discard:
                self.discarded.add(number)
            room -= packet.size
            if self.kept is not None and room >= 0:
                self.kept.append(packet)
            else:
                self.kept = None


def _order_by_time(notes: _PacketNotes) -> list[int]:
    """Packet numbers of the frames by their time stamps."""
    times = notes.pts
    if notes.untimed:
        raise NotPlannable("a packet without a time stamp")
    shown = [n for n, picture in enumerate(notes.pictures) if picture.shown and n not in notes.discarded]
    shown.sort(key=times.__getitem__)
    stamps = [times[number] for number in shown]
    if len(set(stamps)) < len(stamps):
        raise NotPlannable("two packets with one time stamp")
    if any(stamps[0] <= times[number] <= stamps[-1] for number in notes.discarded):
        raise NotPlannable("an edit list of several parts")
    return shown


def _order_by_type(pictures: list[Picture]) -> list[int]:
    """Packet numbers of the frames by their types: a picture is held until the next that is not between."""
    display: list[int] = []
    held: list[int] = []
    for number, picture in enumerate(pictures):
        if picture.between:
            display.append(number)
        else:
            display += held
            held = [number]
    return display + held


def _held_back(rank: NDArray[np.int64]) -> int:
    """Most packets that come before one and are shown after it."""
    earlier = np.maximum.accumulate(rank)
    if np.any(earlier[: -_MAX_REORDER - 1] > rank[_MAX_REORDER + 1 :]):
        raise NotPlannable("a frame far from its place")
    count = np.zeros(len(rank), int)
    for distance in range(1, min(_MAX_REORDER, len(rank) - 1) + 1):
        count[distance:] += rank[:-distance] > rank[distance:]
    return int(count.max())
