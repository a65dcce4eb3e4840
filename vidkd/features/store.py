"""The feature store: what frozen backbones make of each video, one HDF5 file a shard.

Layout, N videos sorted by video_id: `features` (N, T', D) float16 or float32, contiguous, uncompressed;
tokens `full` have T'·S for T', `clip` has 1; of several views and crops T' counts all, the view slowest, then
the crop (`FeatureStore.by_view`). `video_id`, `label_id`, `index` (N, T) source frame numbers, -1 where
unknown, `padded`, and `crc32` of each row's bytes. The attributes are the fields of FeatureMeta, its
`digest`, and `checksum` of everything but the features.

Contiguous features are read through a memory map: no copy but that into the batch, and one page cache for all
processes. Files that another program has chunked or compressed are read through h5py, a hundred times slower.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidkd.data.hdf5 import DAMAGE, check_own_data, text_of
from vidkd.data.mapped import map_bytes
from vidkd.errors import UserError, some
from vidkd.features.meta import COLUMNS, FeatureMeta, checksum
from vidkd.features.rows import Features, ForeignFeatures, Gather, gather_of

Rows = Sequence[int] | NDArray[np.int64]

_AGAIN = "delete it and run snakemake features again, which makes no other shard anew"
_SHOWN = 5


class FeatureStore:
    """Reads the shards of one backbone and split as one sequence of rows; a list of files is the index.

    Nothing is held open until features are read, so a store can be handed to worker processes.

    Attributes:
        meta: how the features were made.
        video_ids: of each row.
        label_ids: (N) int32.
        padded: (N) whether frames repeat because the video has too few.
        shards: (N) number of the file that each row is in.
        shape: (T', D) of a row.
        dtype: of the features.
    """

    def __init__(self, files: Sequence[str | Path]) -> None:
        """Open a store.

        Args:
            files: its shards, in the order of their rows.

        Raises:
            UserError: a file is missing, cut, damaged, without labels, or no feature store; shards do not
                agree, or a video is in two of them.
        """
        if isinstance(files, str | Path):
            raise TypeError(
                f"give a list of files: FeatureStore(find_feature_shards([Path({str(files)!r})]))"
            )
        if not files:
            raise UserError("a feature store needs at least one file: run snakemake features")
        self._shards = [_Shard(Path(file)) for file in files]
        _check_same_meta(self._shards)
        _check_same_shape(self._shards)
        self.meta = self._shards[0].meta
        self.shape = next((shard.shape for shard in self._shards if shard.video_ids), (0, 0))
        self.dtype: torch.dtype = getattr(torch, self.meta.dtype)
        self.video_ids = [name for shard in self._shards for name in shard.video_ids]
        self._row_of = {name: row for row, name in enumerate(self.video_ids)}
        if len(self._row_of) < len(self.video_ids):
            raise UserError(_twice(self._shards))
        self.label_ids = np.concatenate([shard.columns["label_id"] for shard in self._shards])
        self.padded = np.concatenate([shard.columns["padded"] for shard in self._shards])
        counts = [len(shard.video_ids) for shard in self._shards]
        self.shards = np.repeat(np.arange(len(counts)), counts)
        self._gather: Gather | None = None

    def __len__(self) -> int:
        return len(self.video_ids)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_gather": None}  # a pickled memory map would carry all its bytes

    def rows(self, rows: Rows) -> Tensor:
        """Read the features of `rows` into new memory: buffers used again were no faster.

        Args:
            rows: 0 to N - 1, in any order.

        Returns:
            (len(rows), T', D).
        """
        if self._gather is None:
            opened = [shard.open() for shard in self._shards]
            self._gather = gather_of(opened, math.prod(self.shape), np.dtype(self.meta.dtype))
        wanted = np.asarray(rows, np.int64)
        return torch.from_numpy(self._gather[wanted]).view(len(wanted), *self.shape)

    def by_view(self, feature_BRD: Tensor) -> Tensor:
        """Split rows of this store into (B, views, crops, T', D), the features of one clip each."""
        made = self.meta.preprocessing
        return feature_BRD.unflatten(1, (made.get("views", 1), made.get("crops", 1), -1))

    def rows_of(self, video_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the row of each video.

        Raises:
            UserError: lists those that the store does not have.
        """
        if missing := [name for name in video_ids if name not in self._row_of]:
            raise UserError(
                f"{self._shards[0].path.parent} has no features of {some_videos(missing)}: run snakemake "
                "features, or leave them out"
            )
        return np.array([self._row_of[name] for name in video_ids], np.int64)

    def check(self, expected: FeatureMeta) -> None:
        """Refuse features that were made otherwise.

        Raises:
            UserError: names the files, and what is other than expected.
        """
        if wrong := self.meta.differences(expected):
            pairs = [f"{name} is {getattr(self.meta, name)}, not {getattr(expected, name)}" for name in wrong]
            files = ", ".join(str(shard.path) for shard in self._shards[:_SHOWN])
            raise UserError(
                f"{files}: made otherwise than the configuration says: {'; '.join(pairs)}. Delete just that "
                "and run snakemake features again."
            )

    def verify(self) -> None:
        """Read every row and compare its checksum; what is beside the rows was compared on opening.

        Raises:
            UserError: names the files and their videos whose bytes have changed.
        """
        found = {shard.path: shard.damaged() for shard in self._shards}
        if wrong := [f"{path}: {some_videos(names)}" for path, names in found.items() if names]:
            raise UserError(
                f"features are damaged: {'; '.join(wrong)}. Delete just these files and run snakemake "
                "features again."
            )


class _Shard:
    """One file of a store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise UserError(
                f"feature store {path} is missing: run snakemake features, which makes only this one"
            )
        try:
            with h5py.File(path, "r", locking=False) as file:
                self._read(file)
        except DAMAGE as error:
            raise UserError(f"{path} is not a whole feature store ({error}): {_AGAIN}") from error

    def _read(self, file: h5py.File) -> None:
        check_own_data(file)
        if "features" not in file and "encoding" in file.attrs:
            raise UserError(f"{self.path} is a frame store, not one of features: look in results/features")
        if "features" in file and "label_id" not in file:
            raise UserError(
                f"{self.path}: cached features do not contain labels: an old version extracted them. Extract "
                f"them again: {_AGAIN}."
            )
        attributes = {name: text_of(value) for name, value in file.attrs.items()}
        self.meta = FeatureMeta.read(attributes)
        self.video_ids: list[str] = list(file["video_id"].asstr()[:])
        columns = {name: file[name][:] for name in COLUMNS}
        if checksum(self.meta, self.video_ids, columns) != attributes["checksum"]:
            raise ValueError("its ids, labels or attributes are damaged")
        del columns["index"]
        self.columns: Mapping[str, NDArray[Any]] = columns
        features = file["features"]
        count, steps, width = features.shape
        if count != len(self.video_ids) or features.dtype.newbyteorder("=") != self.meta.dtype:
            raise ValueError(f"features are {features.shape} {features.dtype}")
        self.shape = steps, width
        self._start: int | None = features.id.get_offset() if features.dtype.isnative else None

    def open(self) -> Features:
        """Open the features, mapped where that can be."""
        count, (steps, width) = len(self.video_ids), self.shape
        if count == 0:
            return np.empty((0, 0))
        if self._start is None:
            return ForeignFeatures(self.path)
        dtype = np.dtype(self.meta.dtype)
        try:
            mapped = map_bytes(self.path, self._start, count * steps * width * dtype.itemsize)
        except OSError as error:
            raise UserError(f"{self.path} was removed or replaced while it was read: start again") from error
        return mapped.view(dtype).reshape(count, steps * width)

    def damaged(self) -> list[str]:
        """List the videos whose bytes have changed."""
        features = self.open()
        sums = enumerate(self.columns["crc32"].tolist())
        return [self.video_ids[row] for row, crc in sums if not _intact(features, row, crc)]


def _intact(features: Features, row: int, crc: int) -> bool:
    try:
        return zlib.crc32(features[row].data) == crc
    except OSError:  # compressed data that no longer unpack
        return False


def _check_same_meta(shards: Sequence[_Shard]) -> None:
    usual = Counter(shard.meta.digest for shard in shards).most_common(1)[0][0]
    right = next(shard for shard in shards if shard.meta.digest == usual)
    if wrong := [shard for shard in shards if shard.meta.digest != usual]:
        raise UserError(
            f"{', '.join(str(shard.path) for shard in wrong[:_SHOWN])}: made with other "
            f"{', '.join(wrong[0].meta.differences(right.meta))} than {right.path}. Delete what is not as "
            "configured and run snakemake features again."
        )


def _check_same_shape(shards: Sequence[_Shard]) -> None:
    counts = Counter(shard.shape for shard in shards if shard.video_ids)
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        wrong = next(shard for shard in shards if shard.video_ids and shard.shape != usual)
        raise UserError(f"{wrong.path} has rows of {wrong.shape} (T', D), the other shards {usual}: {_AGAIN}")


def _twice(shards: Sequence[_Shard]) -> str:
    seen: dict[str, Path] = {}
    for shard in shards:
        for name in shard.video_ids:
            if name in seen:
                return (
                    f"video {name!r} is in {seen[name]} and in {shard.path}: delete the shards that are left "
                    "of an earlier data.n_shards, or name each file once"
                )
            seen[name] = shard.path
    raise AssertionError


def some_videos(names: Sequence[str]) -> str:
    """Count these videos and name some: `2 videos (a, b)`."""
    return f"{len(names)} videos ({some(names)})"
