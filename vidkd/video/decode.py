"""Reading videos: what a file holds, and chosen frames of it, exactly.

Frame k of a video is the k-th frame its decoder outputs: headers and time stamps are not to be trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from vidkd.errors import UserError
from vidkd.video.bitstream import NotPlannable, is_hidden
from vidkd.video.containers import is_file, missing_bytes, open_container, short
from vidkd.video.images import decode_images, probe_images
from vidkd.video.planned import Segment, decode_segments, needs_all, plan
from vidkd.video.timeline import has_trusted_times, numbered_packets, read_timeline
from vidkd.video.video import Image, TooFewFrames, UnreadableVideo, VideoInfo

Decoder = Literal["pyav", "torchcodec"]

_MENDS_SILENTLY = {"hevc", "mjpeg"}  # these decoders say nothing of damage unless they are told to stop at it


def decoder_version(decoder: Decoder = "pyav") -> str:
    """Name what decodes, with versions."""
    if decoder == "torchcodec":
        from vidkd.video.torchcodec_backend import backend_version  # imports torch

        return f"{backend_version()}; {decoder_version()}"
    return f"PyAV {av.__version__}, libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}"


def decoder_of(version: str) -> Decoder:
    """Tell which decoder `decoder_version` spoke of."""
    return "torchcodec" if version.startswith("torchcodec") else "pyav"


def probe_video(path: str | Path) -> VideoInfo:
    """Count the frames of `path` without decoding them all.

    Raises:
        UnreadableVideo: no frame can be had from it, or it is visibly cut.
    """
    if not is_file(Path(path)):
        return probe_images(path)
    with _video_stream(path) as (container, stream):
        if missing := missing_bytes(Path(path), container.format.name):
            raise UnreadableVideo("truncated", f"{missing} bytes are missing at its end")
        first: av.VideoFrame | None = None
        stamps: list[int | None] = []
        codec = stream.codec_context.codec.canonical_name
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise UnreadableVideo("truncated", f"packet {len(stamps)} is damaged or cut")
            if packet.size and not packet.is_discard and not is_hidden(codec, memoryview(packet)):
                stamps.append(packet.pts)
            if first is None:
                first = next(iter(packet.decode()), None)
        if first is None:
            raise UnreadableVideo("no_frame", "no frame decodes")
        rotation = _rotation(first)
        width, height = (first.width, first.height) if rotation % 180 == 0 else (first.height, first.width)
        seconds = _time_stamps(container, stream, stamps)
        fps = _rate(stream, [stamp for stamp in stamps if stamp is not None])
        return VideoInfo(
            frames=len(stamps),
            fps=fps,
            width=width,
            height=height,
            duration=_duration(seconds, len(stamps), fps),
            codec=stream.codec_context.name,
            rotation=rotation,
            pixel_format=first.format.name,
            vfr=_is_uneven(seconds, stream.time_base),
        )


def _time_stamps(
    container: av.container.InputContainer, stream: av.VideoStream, stamps: list[int | None]
) -> NDArray[np.float64]:
    """Ascending seconds of the frames; empty where the container's time stamps are not to be trusted."""
    known = [stamp for stamp in stamps if stamp is not None]
    if not has_trusted_times(container) or stream.time_base is None or len(known) < len(stamps):
        return np.zeros(0)
    return (np.sort(np.array(known, np.int64)) * float(stream.time_base)).astype(np.float64)


def _rate(stream: av.VideoStream, stamps: Sequence[int]) -> float:
    """Frames a second, as the header says; where it has only the tick of its clock, by the time stamps."""
    said = float(stream.average_rate or stream.guessed_rate or 0)  # an Ogg file has the second only
    tick = float(stream.time_base or 0)
    span = tick * (max(stamps) - min(stamps)) if stamps else 0
    counted = (len(stamps) - 1) / span if span else said
    return counted if round(said * tick, 3) == 1 and counted < said / 2 else said


def _duration(seconds: NDArray[np.float64], frames: int, fps: float) -> float:
    """From the first frame to the end of the last; what a header says of it is not asked."""
    if len(seconds) > 1:
        return float(seconds[-1] - seconds[0]) * frames / (frames - 1)
    return frames / fps if fps else 0.0


def _is_uneven(seconds: NDArray[np.float64], tick: Fraction | None) -> bool:
    """Whether the distances of frames differ by more than rounding to ticks or milliseconds can do."""
    if len(seconds) < 3 or tick is None:
        return False
    return bool(np.ptp(np.diff(seconds)) > 1.01 * max(float(tick), 0.001))


def decode_frames(
    path: str | Path,
    indices: Sequence[int],
    transform: Callable[[Image], Image] | None = None,
    decoder: Decoder = "pyav",
) -> tuple[list[Image], NDArray[np.float64]]:
    """Decode chosen frames, turned upright.

    Args:
        path: the video.
        indices: ascending frame numbers, in output order of the decoder; a number may repeat.
        transform: applied to each frame as it comes, so that full-size frames need not be held.
        decoder: what decodes; torchcodec leaves to PyAV every video whose frames it might not give exactly.

    Returns:
        The frames (H, W, 3) uint8 RGB, one per index, and their time stamps in seconds (NaN where unknown).

    Raises:
        TooFewFrames: the video is sound and ends before the last index.
        UnreadableVideo: it is not sound.
        UserError: the decoder is not installed.
    """
    wanted = sorted(set(indices))
    if any(after < before for before, after in pairwise(indices)) or min(indices, default=0) < 0:
        raise ValueError("frame indices must be ascending and not negative")
    if not wanted:
        return [], np.zeros(0)
    if not is_file(Path(path)):
        return decode_images(path, indices, transform)
    attempts = [_decode_planned, _decode_in_sequence]
    if decoder == "torchcodec":
        attempts.insert(0, _decode_by_torchcodec)
    for attempt in attempts:
        pictures = _Pictures(transform)
        try:
            attempt(path, wanted, pictures)
            break
        except NotPlannable:  # the next one can do more; decoding in sequence raises no such error
            continue
    return pictures.of(indices)


def planned_segments(path: str | Path, indices: Iterable[int]) -> list[Segment]:
    """Plan what `decode_frames` would decode of `path`.

    Raises:
        NotPlannable: everything up to the last of them; the message says why.
        UnreadableVideo: the video cannot be opened.
    """
    with _video_stream(path) as (container, stream):
        return plan(read_timeline(container, stream), indices)


class _Pictures:
    """Upright, transformed images and time stamps by frame number."""

    def __init__(self, transform: Callable[[Image], Image] | None) -> None:
        self._transform = transform
        self._reformatter = VideoReformatter()
        self._pictures: dict[int, tuple[Image, float]] = {}

    def add(self, index: int, frame: av.VideoFrame, seconds: float) -> None:
        self.add_image(index, _upright(frame, self._reformatter), seconds)

    def add_image(self, index: int, image: Image, seconds: float) -> None:
        self._pictures[index] = (self._transform(image) if self._transform else image, seconds)

    def of(self, indices: Sequence[int]) -> tuple[list[Image], NDArray[np.float64]]:
        frames = [self._pictures[index][0] for index in indices]
        for frame in frames:
            if frame.shape != frames[0].shape:
                raise UnreadableVideo(
                    "size_changes", f"frames are {frames[0].shape[:2]} and then {frame.shape[:2]}"
                )
        return frames, np.array([self._pictures[index][1] for index in indices], np.float64)


def _decode_by_torchcodec(path: str | Path, wanted: list[int], pictures: _Pictures) -> None:
    """Have torchcodec decode the wanted frames; any doubt is NotPlannable."""
    from vidkd.video import torchcodec_backend  # imports torch

    _refuse_for_torchcodec(path)
    with _video_stream(path) as (container, stream):
        timeline = read_timeline(container, stream)
        found = torchcodec_backend.decode(path, container, stream, timeline, wanted)
        for index, image, seconds in found:
            pictures.add_image(index, image, seconds)


def _decode_planned(path: str | Path, wanted: list[int], pictures: _Pictures) -> None:
    """Decode what the wanted frames need; any doubt is NotPlannable."""
    with ExitStack() as stack:
        container, stream = stack.enter_context(_video_stream(path))
        try:
            if needs_all(container, stream, wanted):
                return _read_in_sequence(container, stream, wanted, pictures)
            timeline = read_timeline(container, stream)
            segments = plan(timeline, wanted)
            packets: Iterable[av.Packet] | None = timeline.packets
            if packets is None:
                container, stream = stack.enter_context(_video_stream(path))
                packets = numbered_packets(container, stream)
            for index, frame, seconds in decode_segments(packets, stream, timeline, segments):
                pictures.add(index, frame, seconds)
        except (av.FFmpegError, EOFError) as error:
            raise NotPlannable(short(error)) from error


def _decode_in_sequence(path: str | Path, wanted: list[int], pictures: _Pictures) -> None:
    with _video_stream(path) as (container, stream):
        _read_in_sequence(container, stream, wanted, pictures)


def _read_in_sequence(
    container: av.container.InputContainer, stream: av.VideoStream, wanted: list[int], pictures: _Pictures
) -> None:
    """Decode from the first frame to the last wanted one."""
    remaining, decoded = set(wanted), 0
    for frame in _frames(container, stream):
        if frame.is_corrupt:
            raise UnreadableVideo("decode_error", f"frame {decoded} is damaged")
        if decoded in remaining:
            pictures.add(decoded, frame, _seconds(container, stream, frame, decoded))
            remaining.remove(decoded)
        decoded += 1
        if not remaining:
            return
    raise TooFewFrames(decoded, wanted[-1])


def _frames(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """All frames; what an edit list does not show may need pictures that it has cut away."""
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.InvalidDataError:
            if not packet.is_discard:
                raise


def _seconds(
    container: av.container.InputContainer, stream: av.VideoStream, frame: av.VideoFrame, number: int
) -> float:
    """Time stamp of a frame; an AVI has none of its own, only a frame rate."""
    if container.format.name == "avi" and stream.average_rate:
        return float(number / stream.average_rate)
    if frame.pts is None or stream.time_base is None:
        return float("nan")
    return float(frame.pts * stream.time_base)


@contextmanager
def _video_stream(path: str | Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Open the first video stream that is no cover art; errors of the library become UnreadableVideo."""
    with open_container(Path(path)) as container:
        moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not moving:
            raise UnreadableVideo("no_video", "the file has no video stream")
        stream = moving[0]
        codec = stream.codec_context
        if codec is None:
            raise UnreadableVideo("no_decoder", "this build of FFmpeg has no decoder for it")
        codec.thread_count = 1  # decode threads cost 30-40% more CPU; jobs are the parallelism
        if codec.codec.canonical_name in _MENDS_SILENTLY:
            codec.options = {"err_detect": "explode"}
        try:
            yield container, stream
        except av.FFmpegError as error:
            raise UnreadableVideo("decode_error", short(error)) from error
        except (UnreadableVideo, NotPlannable, UserError, MemoryError, ImportError, OSError, RuntimeError):
            raise  # of this machine, or of the package: nothing that a video could be blamed for
        except Exception as error:  # whatever else a library raises about one video does not stop the others
            raise UnreadableVideo("decode_error", short(error)) from error


def _upright(frame: av.VideoFrame, reformatter: VideoReformatter) -> Image:
    # threads=1: the automatic thread count costs thirty times as much
    rgb = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
    a, b, c, d = _display_matrix(frame)
    if abs(b) > abs(a):
        rgb, a, d = rgb.swapaxes(0, 1), c, b
    return np.ascontiguousarray(rgb[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d): a stored pixel (p, q) from the centre is displayed at (a p + c q, b p + d q)."""
    try:
        side_data = cast(Mapping[str, Any], frame.side_data)
    except ValueError:  # PyAV 18 does not know all that FFmpeg puts there, such as the views of MV-HEVC
        a, b = {0: (1, 0), 90: (0, -1), 180: (-1, 0), 270: (0, 1)}[_rotation(frame)]
        return a, b, -b, a
    if "DISPLAYMATRIX" not in side_data:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(side_data["DISPLAYMATRIX"], np.int32)[:5].tolist()
    return a, b, c, d


def _refuse_for_torchcodec(path: str | Path) -> None:
    """Raise NotPlannable where the first frame tells that torchcodec would give other pixels."""
    with _video_stream(path) as (container, stream):
        first = next(container.decode(stream), None)
        if first is None or first.interlaced_frame:
            raise NotPlannable("torchcodec converts interlaced frames otherwise")
        if max(component.bits for component in first.format.components) > 8:
            raise NotPlannable("more than 8 bits")
        a, b, c, d = _display_matrix(first)
        if a * d < b * c:
            raise NotPlannable("torchcodec does not mirror")


def _rotation(frame: av.VideoFrame) -> int:
    """In degrees counterclockwise; of a matrix that is none FFmpeg says the smallest number there is."""
    return round(frame.rotation / 90) * 90 % 360 if abs(frame.rotation) <= 360 else 0
