"""What a video is to the rest of the package: an image, what the probe finds, and why one cannot be used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
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
        duration: seconds from the first frame, whatever its own time stamp, to the end of the last: from the
            time stamps, or from frames and fps where those are not to be trusted.
        codec: name of the decoder.
        rotation: degrees counterclockwise that turn a decoded frame into a displayed one: 0, 90, 180 or 270.
            Frames are also mirrored where the file says so, which is not told here.
        pixel_format: FFmpeg's name of it: yuv420p, yuv420p10le, gray, ...
        vfr: the frame rate varies; false where the container's time stamps are not to be trusted.
    """

    frames: int
    fps: float
    width: int
    height: int
    duration: float
    codec: str
    rotation: int
    pixel_format: str
    vfr: bool
