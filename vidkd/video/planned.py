"""Planned decoding: only the packets that the wanted frames need, with the result of decoding them all.

The timeline says which packet holds frame k and where decoding may begin. Whatever is not certain raises
`NotPlannable`, and the caller decodes the video in sequence. Damage in frames that are neither wanted nor
needed for wanted ones goes unseen, as does damage after the last wanted frame in sequential decoding.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import av
from av.video.frame import PictureType

from vidkd.video.bitstream import NotPlannable
from vidkd.video.timeline import Timeline

_HEADERS = 25
"""Over the side of a square of as many pixels as a frame: the headers of all packets cost as much as decoding
that share of them. Measured from 160x120 to 1280x720, within a tenth."""


@dataclass
class Segment:
    """Packets `start` to `stop` - 1, decoded in one go from a keyframe.

    Attributes:
        start: number of the keyframe's packet.
        stop: one after the last wanted packet.
        wanted: frame number by packet number.
    """

    start: int
    stop: int
    wanted: dict[int, int] = field(default_factory=dict)


def needs_all(container: av.container.InputContainer, stream: av.VideoStream, wanted: Sequence[int]) -> bool:
    """Tell by the index of an AVI whether a plan would leave out next to nothing.

    MPEG-4 without B pictures: each needs the one before it, so that only whole groups are left out, and
    decoding in sequence saves the time of reading every header.
    """
    codec = stream.codec_context
    if container.format.name != "avi" or codec.name != "mpeg4" or codec.reorder_depth:
        return False
    keys = [number for number, entry in enumerate(stream.index_entries) if entry.is_keyframe]
    if not keys or keys[0] > wanted[0]:
        return False
    begins = [keys[bisect_right(keys, index) - 1] for index in wanted]
    skipped = sum(max(0, begin - last - 1) for begin, last in zip(begins, [-1, *wanted], strict=False))
    return skipped * math.sqrt(codec.width * codec.height) <= _HEADERS * wanted[-1]


def plan(timeline: Timeline, indices: Iterable[int]) -> list[Segment]:
    """Choose what to decode for the frames `indices`, which ascend.

    Raises:
        NotPlannable: a frame is not there, or no keyframe is before it.
    """
    entries = [number for number, entry in enumerate(timeline.entry) if entry]
    segments: list[Segment] = []
    for index in indices:
        if index >= len(timeline.display):
            raise NotPlannable(f"only {len(timeline.display)} frames are listed")
        packet = timeline.display[index]
        start = _entry_before(timeline, entries, packet)
        if not segments or start >= segments[-1].stop:
            segments.append(Segment(start, packet + 1))
        segment = segments[-1]
        if start < segment.start:
            raise NotPlannable("a frame belongs to an earlier group than the frame shown before it")
        segment.stop = max(segment.stop, packet + 1)
        segment.wanted[packet] = index
    return segments


def _entry_before(timeline: Timeline, entries: Sequence[int], packet: int) -> int:
    """The last packet to begin at for `packet` to come out: decoded and shown before it, or itself."""
    for entry in reversed(entries[: bisect_right(entries, packet)]):
        if timeline.rank[entry] <= timeline.rank[packet]:
            return entry
    raise NotPlannable("no keyframe is before the frame")


def decode_segments(
    packets: Iterable[av.Packet], stream: av.VideoStream, timeline: Timeline, segments: list[Segment]
) -> Iterator[tuple[int, av.VideoFrame, float]]:
    """Decode the wanted frames: frame number, frame, time stamp in seconds.

    Raises:
        NotPlannable: a wanted frame did not come out as planned.
    """
    codec = stream.codec_context
    numbered = enumerate(packets)
    for segment in segments:
        codec.flush_buffers()
        codec.reorder_depth = timeline.reorder
        missing = dict(segment.wanted)
        latest = timeline.rank[segment.start]
        for frame in _segment_frames(numbered, codec, segment, timeline.spare):
            number = frame.pts
            if number is None:
                raise NotPlannable("a frame of no packet")
            if frame.is_corrupt or frame.interlaced_frame:
                raise NotPlannable("a damaged or interlaced frame")
            if number == segment.start and not (frame.key_frame and frame.pict_type == PictureType.I):
                raise NotPlannable("a keyframe that is none")
            if timeline.rank[number] < latest:
                raise NotPlannable("frames come out in another order than their time stamps")
            latest = timeline.rank[number]
            if number in missing:
                yield missing.pop(number), frame, float(timeline.rank[number] * timeline.tick)
        if missing:
            raise NotPlannable(f"frame {min(missing.values())} did not come out")


def _segment_frames(
    numbered: Iterator[tuple[int, av.Packet]],
    codec: av.VideoCodecContext,
    segment: Segment,
    spare: Sequence[bool],
) -> Iterator[av.VideoFrame]:
    """Decode one segment to its end; each frame has the number of its packet as its pts."""
    skipping = False
    codec.skip_frame = "DEFAULT"
    for number, packet in numbered:
        if number < segment.start:
            continue
        if skipping != (spare[number] and number not in segment.wanted):
            skipping = not skipping  # never for a needed packet: the decoder would not tell of its damage
            codec.skip_frame = "NONREF" if skipping else "DEFAULT"
        packet.pts = number
        yield from codec.decode(packet)
        if number + 1 == segment.stop:
            break
    yield from codec.decode(None)  # the frames that the decoder still holds back
