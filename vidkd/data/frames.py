"""The frame store: the frames kept of each video, one HDF5 file a shard.

Layout, N clips of T frames, rows sorted by video_id: `video_id`, `label_id`, `size` (N, 2) height and width,
`index` (N, T) source frame numbers, `timestamp` (N, T) seconds, `padded`, `crc32` (N, T) of each frame's
bytes, and `excluded` (M, 3) video id, reason and detail.

Encodings raw and jpeg add `data` (bytes of all frames, contiguous, uncompressed) and `offset` (N, T + 1):
frame t of clip i is `data[offset[i, t]:offset[i, t + 1]]`. Encoding none adds `path` (N) instead, of the
video as extract_frames opened it: relative to the folder where that ran, unless data.root is absolute.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from vidkd.artefacts import check
from vidkd.data.hdf5 import DAMAGE, check_own_data, checksum, text_of
from vidkd.data.pixels import DecodedPixels, Pixels, PixelSource, Positions, StoredPixels
from vidkd.errors import UserError


class FrameStore:
    """Reads the shards of one split as one sequence of clips.

    Nothing is held open until frames are read, so a store can be handed to worker processes.

    Attributes:
        video_ids: of each clip.
        label_ids: (N) int32.
        sizes: (N, 2) int32 height and width in pixels.
        per_video: T, frames of each clip.
        excluded: (video id, reason, detail) of the videos that failed when frames were extracted.
        digest: of the settings that made the store.
    """

    def __init__(self, files: Sequence[str | Path]) -> None:
        """Open a store.

        Args:
            files: its shards, in the order of their clips.

        Raises:
            UserError: a file is missing, cut, no frame store, or made with other settings than the rest.
        """
        if not files:
            raise UserError("a frame store needs at least one file: run extract_frames")
        self._shards = [_Shard(Path(file)) for file in files]
        self.digest, self.per_video = self._shards[0].digest, self._shards[0].per_video
        for shard in self._shards:
            if shard.digest != self.digest:
                raise UserError(
                    f"{shard.path} and {self._shards[0].path} were made with different settings: "
                    "run extract_frames again"
                )
        self._starts = np.cumsum([0, *(len(shard.video_ids) for shard in self._shards)])
        self.video_ids = [name for shard in self._shards for name in shard.video_ids]
        if len(set(self.video_ids)) < len(self.video_ids):
            raise UserError(
                f"{Path(files[0]).parent}: a video is in two frame stores: delete the shards that are "
                "left of an earlier data.n_shards, or name each file once."
            )
        self.label_ids = np.concatenate([shard.label_ids for shard in self._shards])
        self.sizes = np.concatenate([shard.sizes for shard in self._shards])
        self.excluded = [row for shard in self._shards for row in shard.excluded]

    def __len__(self) -> int:
        return len(self.video_ids)

    def clip(self, i: int, positions: Positions) -> Pixels:
        """Read frames of clip `i`.

        Args:
            i: the clip, 0 to N - 1.
            positions: t of the kept frames to give, each 0 to T - 1, in any order.

        Returns:
            (len(positions), H, W, 3) uint8 RGB.

        Raises:
            UserError: they are damaged; with encoding none, the video is gone or is another one.
        """
        if wrong := [position for position in positions if not 0 <= position < self.per_video]:
            raise IndexError(f"frame {wrong[0]} of {self.per_video}")
        shard, row = self._locate(i)
        return shard.pixels.frames(row, positions)

    def verify(self) -> None:
        """Read every clip and compare its checksum.

        Raises:
            UserError: names the file and the clips whose bytes have changed.
        """
        for shard in self._shards:
            damaged = [name for row, name in enumerate(shard.video_ids) if not shard.pixels.intact(row)]
            if damaged:
                raise UserError(
                    f"{shard.path}: {len(damaged)} clips are damaged, such as {', '.join(damaged[:5])}: "
                    "delete the file and run extract_frames again"
                )

    def _locate(self, i: int) -> tuple[_Shard, int]:
        if not 0 <= i < len(self):
            raise IndexError(f"clip {i} of {len(self)}")
        number = int(np.searchsorted(self._starts, i, side="right")) - 1
        return self._shards[number], i - int(self._starts[number])


class _Shard:
    """One file of a store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise UserError(f"frame store {path} is missing: run extract_frames")
        try:
            with h5py.File(check(path), "r", locking=False) as file:
                self._read(file)
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno:  # of the machine; HDF5's own errors have no number
                raise UserError(
                    f"{path} cannot be read: {error.strerror}. Mend that and try again."
                ) from error
            raise UserError(
                f"{path} is not a whole frame store ({error}): delete it and run extract_frames again"
            ) from error

    def _read(self, file: h5py.File) -> None:
        check_own_data(file)
        self.digest = str(text_of(file.attrs["digest"]))
        self.per_video = int(file.attrs["per_video"])
        self.video_ids: list[str] = list(file["video_id"].asstr()[:])
        self.label_ids: NDArray[np.int32] = file["label_id"][:]
        self.excluded: list[tuple[str, str, str]] = [tuple(row) for row in file["excluded"].asstr()[:]]
        self.sizes: NDArray[np.int32] = file["size"][:]
        if "checksum" not in file.attrs:
            raise ValueError("it is of an earlier version")
        if text_of(file.attrs["checksum"]) != checksum(file, "data"):
            raise ValueError("its ids, labels or attributes are damaged")
        self.pixels: PixelSource = (
            DecodedPixels(self.path, file)
            if text_of(file.attrs["encoding"]) == "none"
            else StoredPixels(self.path, file, self.video_ids)
        )
