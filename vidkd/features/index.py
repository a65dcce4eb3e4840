"""One HDF5 file over all shards of a feature store, for programs other than ours.

Ours need none: `FeatureStore` takes the list of shards, and reads them without HDF5 in between.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from vidkd.features.store import FeatureStore
from vidkd.files import atomic

_FILL = {"features": np.nan, "label_id": -1, "index": -1, "crc32": 0, "padded": None, "video_id": None}
"""What HDF5 gives, without a word, for the rows of a shard that is gone; None is nothing or False."""


def write_virtual_index(files: Sequence[Path], path: Path) -> None:
    """Write virtual datasets that are the rows of all shards, in their order; nothing is copied.

    Paths are relative to `path`, so that the folder can be moved as a whole.

    Args:
        files: the shards.
        path: the index.

    Raises:
        UserError: the shards do not make a store, see FeatureStore; or the index cannot be written.
    """
    FeatureStore(files)
    with atomic(path) as temporary, h5py.File(temporary, "w", libver=("v110", "v110")) as index:
        for name, fill in _FILL.items():
            _write_virtual(index, name, files, path.parent, fill)
        with h5py.File(files[0], "r", locking=False) as first:
            digests = {name: value for name, value in first.attrs.items() if name != "checksum"}
        index.attrs.update(digests)


def _write_virtual(
    index: h5py.File, name: str, files: Sequence[Path], folder: Path, fill: float | None
) -> None:
    sources = []
    for file in files:
        with h5py.File(file, "r", locking=False) as shard:
            if len(shard[name]):
                relative = os.path.relpath(file, folder)
                sources.append(h5py.VirtualSource(relative, name, shard[name].shape, shard[name].dtype))
    if not sources:
        return
    dtype = max((source.dtype for source in sources), key=lambda dtype: dtype.itemsize)
    total = sum(source.shape[0] for source in sources)
    layout = h5py.VirtualLayout((total, *sources[0].shape[1:]), dtype)
    start = 0
    for source in sources:
        layout[start : start + source.shape[0]] = source
        start += source.shape[0]
    index.create_virtual_dataset(name, layout, fillvalue=fill)
