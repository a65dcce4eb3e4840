"""Videos decoded just now and kept in memory, with the very frames that a frame store of them would have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidkd.config.data import FrameSettings
from vidkd.data.extract import sampled_frames
from vidkd.data.pixels import Pixels, Positions
from vidkd.video.decode import probe_video
from vidkd.video.video import Image


@dataclass(frozen=True)
class DecodedVideo:
    """What a frame store keeps of a video.

    Attributes:
        index: (T) source frame numbers.
        images: T upright, shrunk RGB images, as the decoder gave them.
    """

    index: NDArray[np.int32]
    images: list[Image]


def decode_video(path: Path, settings: FrameSettings) -> DecodedVideo:
    """Decode what `settings` keep of a video.

    Raises:
        UnreadableVideo: it would be excluded, when it is probed or when its frames are extracted.
        UserError: the decoder is not installed.
    """
    index, images, _ = sampled_frames(path, probe_video(path).frames, settings)
    return DecodedVideo(index, images)


class DecodedVideos:
    """Decoded videos in place of a frame store; their labels are not known."""

    def __init__(self, videos: Sequence[DecodedVideo], per_video: int) -> None:
        self._videos, self.per_video = videos, per_video
        sizes = [video.images[0].shape[:2] for video in videos]
        self.sizes = np.array(sizes, np.int32).reshape(-1, 2)
        self.label_ids = np.full(len(videos), -1, np.int32)

    def __len__(self) -> int:
        return len(self._videos)

    def clip(self, i: int, positions: Positions) -> Pixels:
        """Return frames (len(positions), H, W, 3) of video `i`, uint8 RGB."""
        return np.stack([self._videos[i].images[position] for position in positions])
