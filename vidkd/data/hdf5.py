"""HDF5 as all stores use it: text in one form, and no data in other files."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray


def fixed_length(values: NDArray[np.str_]) -> NDArray[Any]:
    """Encode text as fixed-length UTF-8, which has one form on disk, unlike HDF5's variable strings.

    Returns:
        As many values, of a type that h5py writes and reads as text.
    """
    encoded = np.char.encode(values, "utf-8")
    return encoded.astype(h5py.string_dtype("utf-8", max(1, encoded.dtype.itemsize)))


def check_own_data(file: h5py.File) -> None:
    """Refuse a store that names other files: HDF5 would read data from any of them.

    Raises:
        ValueError: a dataset is a link to another file, or its values lie in one.
        KeyError: a link leads nowhere.
    """
    for name in file:
        found = file[name]
        elsewhere = found.file.filename != file.filename
        if elsewhere or (isinstance(found, h5py.Dataset) and (found.is_virtual or found.external)):
            raise ValueError(f"{name} lies in another file")
