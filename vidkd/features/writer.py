"""Writing a feature shard, each row straight to its place. The layout is in `vidkd.features.store`."""

from __future__ import annotations

import logging
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vidkd.data.hdf5 import fixed_length, new_file, write_attributes
from vidkd.errors import UserError
from vidkd.features.meta import COLUMNS, FeatureMeta, checksum
from vidkd.files import atomic

logger = logging.getLogger(__name__)

_PAGE = 4096


def check_room(output: Path, videos: int, shape: tuple[int, int], dtype: str, remedy: str) -> None:
    """Log the size of a shard that is about to be written, and refuse it where the disk is too small.

    Args:
        output: the shard; its folder exists.
        videos: how many rows it will have.
        shape: (T', D) of a row.
        dtype: float16 or float32.
        remedy: what to do, for the message.

    Raises:
        UserError: the disk has less room.
    """
    steps, width = shape
    needed = videos * steps * width * np.dtype(dtype).itemsize
    logger.info("%s: %d x %d x %d %s, %.1f MB", output, videos, steps, width, dtype, needed / 1e6)
    if needed > (free := shutil.disk_usage(output.parent).free):
        raise UserError(
            f"{output}: features of {needed / 1e6:.1f} MB do not fit on the disk, which has "
            f"{free / 1e6:.1f} MB left. {remedy}"
        )


@contextmanager
def feature_writer(path: Path, meta: FeatureMeta, count: int) -> Iterator[FeatureWriter]:
    """Write one shard atomically; memory is a row and the short columns.

    Args:
        path: the shard.
        meta: how its features are made; it becomes its attributes.
        count: how many videos it will have, as the frame store says.

    Raises:
        UserError: a row is refused, see FeatureWriter.add; the folder cannot be written, or the disk is full.
        ValueError: fewer than `count` videos were added.
    """
    aligned = {"alignment_threshold": _PAGE, "alignment_interval": _PAGE}  # mapped without a copy
    with atomic(path) as temporary, new_file(temporary, **aligned) as file:
        writer = FeatureWriter(path, file, meta, count)
        yield writer
        writer.finish()


class FeatureWriter:
    """Takes the rows of one shard, sorted by video id; see feature_writer."""

    def __init__(self, path: Path, file: h5py.File, meta: FeatureMeta, count: int) -> None:
        self._path, self._file, self._meta, self._count = path, file, meta, count
        self._dtype = np.dtype(meta.dtype)
        self._video_ids: list[str] = []
        self._columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self._features: h5py.Dataset | None = None
        self._taken = meta.frames

    def add(
        self,
        video_id: str,
        label_id: int,
        index: NDArray[np.integer[Any]],
        padded: bool,
        row: NDArray[np.floating[Any]],
    ) -> None:
        """Append a video.

        Args:
            video_id: after the one before.
            label_id: position in classes.json.
            index: (T) source frame numbers.
            padded: whether frames repeat because the video has fewer than T.
            row: (T', D) features; stored as the dtype of the shard.

        Raises:
            UserError: the video is added twice or out of order, the shape is not that of the videos before,
                or a value is NaN or infinite, perhaps only in float16.
        """
        stored = self._stored(video_id, row)
        self._check_order(video_id)
        if self._features is None:
            self._features = self._dataset("features", (self._count, *stored.shape), self._dtype)
            self._taken = len(index)
        if stored.shape != self._features.shape[1:] or np.shape(index) != (self._taken,):
            raise UserError(
                f"{self._path}: video {video_id!r} has features of shape {stored.shape} from {len(index)} "
                f"frames, those before it {self._features.shape[1:]} from {self._taken}: all videos need the "
                "same frames and input size"
            )
        self._features[len(self._video_ids)] = stored
        self._video_ids.append(video_id)
        values = (label_id, np.asarray(index, np.int32), zlib.crc32(stored.data), padded)
        for name, value in zip(COLUMNS, values, strict=True):
            self._columns[name].append(value)

    def finish(self) -> None:
        """Write what is beside the features."""
        if (added := len(self._video_ids)) != self._count:
            raise ValueError(f"{self._path}: {added} of {self._count} videos were added")
        if self._features is None:
            self._dataset("features", (0, 0, 0), self._dtype)
        shapes = {name: (self._count,) for name in COLUMNS} | {"index": (self._count, self._taken)}
        columns: dict[str, NDArray[Any]] = {
            name: np.array(self._columns[name], dtype).reshape(shapes[name])
            for name, dtype in COLUMNS.items()
        }
        names = fixed_length(np.array(self._video_ids, np.str_))
        for name, values in (columns | {"video_id": names}).items():
            self._dataset(name, values.shape, values.dtype)[...] = values
        sums = {"checksum": checksum(self._meta, self._video_ids, columns)}
        write_attributes(self._file, self._meta.attributes() | sums)

    def _dataset(self, name: str, shape: tuple[int, ...], dtype: Any) -> h5py.Dataset:
        return self._file.create_dataset(name, shape, dtype, fill_time="never")

    def _check_order(self, video_id: str) -> None:
        before = self._video_ids[-1] if self._video_ids else ""
        if self._video_ids and video_id <= before:
            wrong = "comes twice" if video_id == before else f"comes after {before!r}"
            raise UserError(
                f"{self._path}: video {video_id!r} {wrong}: rows are sorted by video id, once each"
            )
        if len(self._video_ids) == self._count:
            raise UserError(
                f"{self._path}: video {video_id!r} is one more than the {self._count} of the shard"
            )

    def _stored(self, video_id: str, row: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(row, self._dtype)
        if stored.ndim != 2:
            raise UserError(
                f"{self._path}: the features of video {video_id!r} have shape {stored.shape}, not (T', D)"
            )
        if not np.isfinite(stored).all():
            if np.isfinite(row).all():
                reason = "too large for float16: store them as float32"
            else:
                reason = "NaN or infinite: the weights or the precision of the backbone are at fault"
            raise UserError(f"{self._path}: features of video {video_id!r} are {reason}")
        return stored
