"""Reading videos: what a file holds, and chosen frames of it, exactly.

Frame k of a video is the k-th frame its decoder outputs: headers and time stamps are not to be trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class UnreadableVideo(Exception):
    """A video that cannot be used.

    Attributes:
        reason: one word to count by: missing, empty, unreadable, no_video, no_decoder, no_frame, truncated,
            decode_error, size_changes, too_short.
        detail: one line for a person, without the path.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class TooFewFrames(UnreadableVideo):
    """The video decoded to its end without an error, and is shorter than the frames asked for.

    Attributes:
        decoded: how many frames it has.
    """

    def __init__(self, decoded: int, wanted: int) -> None:
        super().__init__("truncated", f"frame {wanted} was asked for and only {decoded} decode")
        self.decoded = decoded


@dataclass(frozen=True)
class VideoInfo:
    """What a video holds, by demuxing it whole and decoding its first frame.

    Attributes:
        frames: number of frames, by counting packets.
        fps: average frames per second; 0 when the file does not say.
        width: pixels, as displayed (after rotation).
        height: pixels, as displayed.
        duration: seconds.
        codec: name of the decoder.
        rotation: degrees counterclockwise that turn a decoded frame into a displayed one: 0, 90, 180 or 270.
    """

    frames: int
    fps: float
    width: int
    height: int
    duration: float
    codec: str
    rotation: int


def decoder_version() -> str:
    """Names and versions of what decodes."""
    return f"PyAV {av.__version__}, libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}"


def probe_video(path: str | Path) -> VideoInfo:
    """Count the frames of `path` without decoding them all.

    Raises:
        UnreadableVideo: no frame can be had from it, or it is visibly cut.
    """
    with _video_stream(path) as (container, stream):
        first: av.VideoFrame | None = None
        count = 0
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise UnreadableVideo("truncated", f"packet {count} is damaged or cut")
            count += packet.size > 0 and not packet.is_discard
            if first is None:
                first = next(iter(packet.decode()), None)
        if first is None:
            raise UnreadableVideo("no_frame", "no frame decodes")
        rotation = _rotation(first)
        width, height = (first.width, first.height) if rotation % 180 == 0 else (first.height, first.width)
        fps = float(stream.average_rate or 0)
        return VideoInfo(
            count,
            fps,
            width,
            height,
            _duration(container, stream, count, fps),
            stream.codec_context.name,
            rotation,
        )


def decode_frames(
    path: str | Path, indices: Sequence[int], transform: Callable[[Image], Image] | None = None
) -> tuple[list[Image], NDArray[np.float64]]:
    """Decode chosen frames, turned upright.

    Args:
        path: the video.
        indices: ascending frame numbers, in output order of the decoder; a number may repeat.
        transform: applied to each frame as it comes, so that full-size frames need not be held.

    Returns:
        The frames (H, W, 3) uint8 RGB, one per index, and their time stamps in seconds (NaN where unknown).

    Raises:
        TooFewFrames: the video is sound and ends before the last index.
        UnreadableVideo: it is not sound.
    """
    frames: list[Image] = []
    seconds: list[float] = []
    for frame, repeats in _wanted_frames(path, indices):
        image = _upright(frame)
        image = transform(image) if transform else image
        if frames and image.shape != frames[0].shape:
            raise UnreadableVideo(
                "size_changes", f"frames are {frames[0].shape[:2]} and then {image.shape[:2]}"
            )
        frames.extend([image] * repeats)
        seconds.extend([frame.time if frame.pts is not None else float("nan")] * repeats)
    return frames, np.array(seconds, np.float64)


def _wanted_frames(path: str | Path, indices: Sequence[int]) -> Iterator[tuple[av.VideoFrame, int]]:
    """Each wanted frame once, with how often it is wanted; stops at the last one."""
    if any(after < before for before, after in pairwise(indices)) or min(indices, default=0) < 0:
        raise ValueError("frame indices must be ascending and not negative")
    repeats: dict[int, int] = {}
    for index in indices:
        repeats[index] = repeats.get(index, 0) + 1
    if not repeats:
        return
    decoded = 0
    with _video_stream(path) as (container, stream):
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise UnreadableVideo("decode_error", f"frame {decoded} is damaged")
            if decoded in repeats:
                yield frame, repeats.pop(decoded)
            decoded += 1
            if not repeats:
                return
    raise TooFewFrames(decoded, indices[-1])


@contextmanager
def _video_stream(path: str | Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Open the first video stream of `path`; errors of the library become UnreadableVideo."""
    path = Path(path)
    if not path.is_file():
        raise UnreadableVideo("missing", "there is no such file")
    try:
        if path.stat().st_size == 0:
            raise UnreadableVideo("empty", "the file has no bytes")
        container = av.open(str(path))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableVideo("unreadable", _short(error)) from error
    with container:
        if not container.streams.video:
            raise UnreadableVideo("no_video", "the file has no video stream")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise UnreadableVideo("no_decoder", "this build of FFmpeg has no decoder for it")
        stream.codec_context.thread_count = 1  # decode threads cost 30-40% more CPU; jobs are the parallelism
        try:
            yield container, stream
        except (av.FFmpegError, EOFError) as error:
            raise UnreadableVideo("decode_error", _short(error)) from error


def _short(error: Exception) -> str:
    """The library's message without the path, so that it is the same on every machine."""
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _upright(frame: av.VideoFrame) -> Image:
    # threads=1: the automatic thread count costs thirty times as much
    rgb = VideoReformatter().reformat(frame, format="rgb24", threads=1).to_ndarray()
    return np.ascontiguousarray(np.rot90(rgb, _rotation(frame) // 90))


def _rotation(frame: av.VideoFrame) -> int:
    return round(frame.rotation / 90) * 90 % 360


def _duration(
    container: av.container.InputContainer, stream: av.VideoStream, frames: int, fps: float
) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return container.duration / av.time_base
    return frames / fps if fps else 0.0
