"""What loaders need of stored videos, and some clips of a store with labels of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vidkd.data.pixels import Pixels, Positions


class Frames(Protocol):
    """The kept frames of videos: of a frame store, or decoded just now."""

    @property
    def per_video(self) -> int:
        """T, frames of each video."""

    @property
    def sizes(self) -> NDArray[np.int32]:
        """(N, 2) height and width in pixels."""

    @property
    def label_ids(self) -> NDArray[np.int32]:
        """(N) the label of each video."""

    def __len__(self) -> int: ...

    def clip(self, i: int, positions: Positions) -> Pixels:
        """Return frames (len(positions), H, W, 3) of video `i`, uint8 RGB."""


class Clips(Frames, Protocol):
    """Such frames of videos that have names."""

    @property
    def video_ids(self) -> list[str]:
        """The id of each video."""


class SelectedClips:
    """The clips of `rows`, in their order.

    Attributes:
        video_ids: of each.
        label_ids: (N) int32.
        sizes: (N, 2) int32 height and width in pixels.
        per_video: T.
    """

    def __init__(
        self, store: Clips, rows: Sequence[int] | NDArray[np.int64], label_ids: NDArray[np.int32]
    ) -> None:
        """Select.

        Args:
            store: the videos.
            rows: of the store.
            label_ids: a label for each of `rows`.
        """
        self._store, self._rows = store, np.asarray(rows, np.int64)
        self.video_ids = [store.video_ids[row] for row in self._rows]
        self.label_ids, self.sizes, self.per_video = label_ids, store.sizes[self._rows], store.per_video

    def __len__(self) -> int:
        return len(self._rows)

    def clip(self, i: int, positions: Positions) -> Pixels:
        """Return frames of clip `i`, as `FrameStore.clip` does."""
        return self._store.clip(int(self._rows[i]), positions)
