"""Features that a frozen network computes when they are asked for: video mode, where no cache is read.

The rows are those of a cache of float32: the same clips through the same code (`vidkd.backbones.network`), on
a CPU to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidkd.backbones.extract import feature_meta
from vidkd.backbones.network import Network, device_of, warn_of_sizes
from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
from vidkd.data.frames import FrameStore
from vidkd.data.hdf5 import text_of
from vidkd.engine.logging import Waiting
from vidkd.errors import UserError
from vidkd.features.store import Rows, some_videos


class LiveFeatures:
    """A `FeatureSource` over frames in place of a cache: each row is computed whenever it is asked for.

    The rows that were asked for last are kept, so that several converters of one batch run the network once.
    The last bits are those of a cache as long as the job has the threads of `cpu_threads`.

    Attributes:
        meta: as that of a float32 cache.
        video_ids: of each row.
        label_ids: (N) int32.
        shards: (N) number of the file that each row is in.
        shape: (T', D) of a row.
        dtype: float32.
        waiting: the time that was spent reading or decoding clips.
    """

    dtype = torch.float32

    def __init__(self, frames: Sequence[str | Path], network: Network, name: str) -> None:
        """Open the frames.

        Args:
            frames: the frame stores of a split, of any encoding, in the order of their clips.
            network: what computes the features.
            name: of the network in the configuration.

        Raises:
            UserError: the frames cannot be used.
        """
        self._frames, self._network = FrameStore(frames), network
        counts, decoder, self._kept = _heads(frames)
        settings = network.settings.model_copy(update={"fp16": False})
        self.meta = feature_meta(network.backbone, name, settings, self._frames.digest, decoder)
        self.video_ids, self.label_ids = self._frames.video_ids, self._frames.label_ids
        self.shards = np.repeat(np.arange(len(counts)), counts)
        self.shape = network.row_shape()
        self.waiting = Waiting()
        self._row_of = {video_id: row for row, video_id in enumerate(self.video_ids)}
        self._last: tuple[NDArray[np.int64], Tensor] | None = None
        warn_of_sizes(self._frames, network.backbone.spec, settings.crops)

    def __len__(self) -> int:
        return len(self.video_ids)

    def rows(self, rows: Rows) -> Tensor:
        """Features (len(rows), T', D) of `rows`, 0 to N - 1, in any order; not to be changed in place.

        Raises:
            UserError: a feature is not finite; with frames that are not stored, one is gone or is another.
        """
        wanted = np.asarray(rows, np.int64)
        if self._last is None or not np.array_equal(self._last[0], wanted):
            self._last = wanted, self._computed(wanted.tolist())
        return self._last[1]

    def rows_of(self, video_ids: Sequence[str]) -> NDArray[np.int64]:
        """Row of each video.

        Raises:
            UserError: lists those that the frame stores do not have.
        """
        if missing := [video_id for video_id in video_ids if video_id not in self._row_of]:
            raise UserError(
                f"the frame stores have no frames of {some_videos(missing)}: run extract_frames, or leave "
                "them out"
            )
        return np.array([self._row_of[video_id] for video_id in video_ids], np.int64)

    def verify(self) -> None:
        """Compare the checksums of all stored frames; those that are decoded are compared each time anyway.

        Raises:
            UserError: names the file and the clips whose bytes have changed.
        """
        if self._kept:
            self._frames.verify()

    def _computed(self, wanted: list[int]) -> Tensor:
        found = torch.empty(len(wanted), *self.shape)
        rows = self._network.rows(self._frames, wanted, 0, self.waiting)
        for number, (feature_TD, row) in enumerate(zip(found.numpy(), rows, strict=True)):
            if not np.isfinite(row).all():
                video_id = self.video_ids[wanted[number]]
                raise UserError(
                    f"features of video {video_id!r} are NaN or infinite: the weights or the precision of "
                    f"{self.meta.backbone} are at fault"
                )
            feature_TD[...] = row
        return found


def live_splits(
    frames: Mapping[str, Sequence[str | Path]], settings: BackboneSettings, name: str, batch: int = 8
) -> dict[str, LiveFeatures]:
    """Features of several splits, by one network.

    Args:
        frames: the frame stores of each split.
        settings: the network, and what of its features a cache would keep; `fp16` has no effect.
        name: of the network in the configuration.
        batch: clips of a batch on a GPU; a CPU sees one at a time.

    Raises:
        UserError: the network or the frames cannot be used.
    """
    torch.backends.cudnn.allow_tf32 = False  # as in extraction
    network = Network(load_backbone(settings), settings, device_of(settings), batch)
    return {split: LiveFeatures(files, network, name) for split, files in frames.items()}


def _heads(frames: Sequence[str | Path]) -> tuple[list[int], str, bool]:
    """Clips of each store, what decoded all of them, and whether frames are kept."""
    counts: list[int] = []
    decoders: dict[str, str | Path] = {}
    kept = True
    for path in frames:
        with h5py.File(path, "r", locking=False) as file:
            counts.append(len(file["video_id"]))
            decoders.setdefault(str(text_of(file.attrs["decoder"])), path)
            kept = text_of(file.attrs["encoding"]) != "none"
    if len(decoders) > 1:
        (one, first), (other, second), *_ = decoders.items()
        raise UserError(
            f"{second} was decoded by {other}, {first} by {one}: delete the older and run extract_frames "
            "again"
        )
    return counts, next(iter(decoders)), kept
