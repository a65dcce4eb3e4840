"""Gathering rows out of the memory maps of several files, as fast as out of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

_LARGEST = 2**62


class Features(Protocol):
    """The features of one shard."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> NDArray[Any]:
        """One row, flat: (T'·D)."""


class Gather(Protocol):
    """Gets rows by their number over all shards."""

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """New memory: (len(rows), T'·D)."""


class ForeignFeatures:
    """Features that are chunked or compressed, read through h5py."""

    def __init__(self, path: Path) -> None:
        self._dataset = h5py.File(path, "r", locking=False)["features"]

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, row: int, /) -> NDArray[Any]:
        values: NDArray[Any] = self._dataset[row]
        return values.reshape(-1).astype(values.dtype.newbyteorder("="), copy=False)


def gather_of(shards: Sequence[Features], width: int, dtype: np.dtype[Any]) -> Gather:
    """Choose the fastest way to gather rows of these shards.

    Args:
        shards: in the order of their rows; memory maps are (n, width) arrays.
        width: T'·D.
        dtype: of the features.
    """
    maps = [shard for shard in shards if isinstance(shard, np.ndarray) and len(shard)]
    if len(maps) == sum(len(shard) > 0 for shard in shards) > 0:
        starts = np.array([shard.ctypes.data for shard in maps])
        items = (starts - starts.min()) // dtype.itemsize
        end = int(items.max()) + max(shard.size for shard in maps)
        aligned = not np.any((starts - starts.min()) % dtype.itemsize)
        if aligned and end * width * dtype.itemsize < _LARGEST:
            return _Window(maps, items, end, width)
    return _RowByRow(shards, width, dtype)


class _Window:
    """One array over the addresses of all maps, in which a row begins at every item.

    So numpy gathers a batch in one call, without the lock of the interpreter; a loop over the rows of several
    maps costs twice as much for pooled features. Only places where a row of a map begins are ever read: what
    lies between the maps is no memory of ours.
    """

    def __init__(self, maps: Sequence[NDArray[Any]], items: NDArray[np.int64], end: int, width: int) -> None:
        self._maps = maps  # kept open
        self._begin = np.concatenate(
            [start + width * np.arange(len(rows)) for start, rows in zip(items, maps, strict=True)]
        )
        first = maps[int(items.argmin())]
        self._window = np.lib.stride_tricks.as_strided(
            first, (end - width + 1, width), (first.itemsize, first.itemsize), writeable=False
        )

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        gathered: NDArray[Any] = self._window[self._begin[rows]]
        return gathered


class _RowByRow:
    """A loop, for files that cannot be mapped."""

    def __init__(self, shards: Sequence[Features], width: int, dtype: np.dtype[Any]) -> None:
        counts = [len(shard) for shard in shards]
        within = np.concatenate([np.arange(count) for count in counts])
        self._place = np.stack([np.repeat(np.arange(len(counts)), counts), within], axis=1)
        self._shards, self._width, self._dtype = shards, width, dtype

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        gathered = np.empty((len(rows), self._width), self._dtype)
        for out, (shard, row) in zip(gathered, self._place[rows].tolist(), strict=True):
            out[:] = self._shards[shard][row]
        return gathered
