"""The views of a video that a frozen network sees: other frames of each segment, other squares of a frame."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from vidkd.data.augment import View, apply_view, centre_view
from vidkd.data.clips import Sample
from vidkd.data.sampling import segment_centres
from vidkd.data.selected import Frames
from vidkd.errors import UserError


class ViewedClips(Dataset):
    """Every video as one long clip: its views one after the other, of each its crops; asked for by row.

    With one view and one crop that is the clip at the segment centres, cropped in the middle.
    """

    def __init__(
        self, store: Frames, frames: int, size: int, crop: float, views: int = 1, crops: int = 1
    ) -> None:
        """Plan the views.

        Args:
            store: the videos.
            frames: T of one view.
            size: height and width that a crop is resized to, in pixels.
            crop: side of a crop, as a share of the frame's short side.
            views: how often frames are chosen, see `view_positions`.
            crops: squares of each frame, see `crops_along`.

        Raises:
            UserError: the stored videos have too few frames.
        """
        if frames * views > store.per_video:
            asked = f"{frames} frames" if views == 1 else f"{views} views of {frames} frames"
            raise UserError(
                f"{asked} are asked of videos stored with {store.per_video}: raise frames.per_video, or ask "
                "for fewer."
            )
        self.store, self.size, self.crop, self.crops = store, size, crop, crops
        position_VT = view_positions(store.per_video, frames, views)
        self._wanted, place = np.unique(position_VT, return_inverse=True)
        shift_C11 = len(self._wanted) * np.arange(crops)
        self._chosen = (place.reshape(views, 1, frames) + shift_C11[:, None]).reshape(-1)

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, row: int) -> Sample:
        frames_THWC = self.store.clip(row, self._wanted)
        height, width = self.store.sizes[row]
        crops = crops_along(int(height), int(width), self.crop, self.crops)
        pixels = torch.cat([apply_view(frames_THWC, crop, self.size) for crop in crops])
        chosen = {len(self._chosen): torch.from_numpy(self._chosen)}
        return Sample(pixels, chosen, int(self.store.label_ids[row]), row)


def view_positions(total: int, frames: int, views: int) -> NDArray[np.int64]:
    """Choose positions (views, frames) among `total` kept frames.

    Each of `frames` equal segments is cut into `views` parts, and view v takes the middle of part v of each:
    no view has a frame of another, and a single one has the segment centres.
    """
    return segment_centres(total, frames * views).reshape(frames, views).T


def crops_along(height: int, width: int, scale: float, crops: int) -> list[View]:
    """Place `crops` squares of `scale` times the short side: the middle one, or from end to end.

    Those of three start, middle and end along the long side (the width of a square frame), all three in the
    middle of the short one; top or left first.
    """
    middle = centre_view(height, width, scale)
    if crops == 1:
        return [middle]
    side = middle.height
    if height > width:
        return [View(top, middle.left, side, side) for top in _spread(height - side, crops)]
    return [View(middle.top, left, side, side) for left in _spread(width - side, crops)]


def _spread(room: int, crops: int) -> list[int]:
    return [room * number // (crops - 1) for number in range(crops)]
