"""HDF5 as all stores use it: text in one form, and no data in other files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

DAMAGE = (
    OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError, OverflowError,
)  # fmt: skip
"""What reading a damaged HDF5 file ends in."""


def fixed_length(values: NDArray[np.str_]) -> NDArray[Any]:
    """Encode text as fixed-length UTF-8, which has one form on disk, unlike HDF5's variable strings.

    Returns:
        As many values, of a type that h5py writes and reads as text.
    """
    encoded = np.char.encode(values, "utf-8")
    return encoded.astype(h5py.string_dtype("utf-8", max(1, encoded.dtype.itemsize)))


@contextmanager
def new_file(path: Path, **options: Any) -> Iterator[h5py.File]:
    """Write a file in the format of HDF5 1.10, in which the structure of the file has checksums too.

    Raises:
        OSError: the disk is full, also where only the last bytes do not fit.
    """
    file = h5py.File(path, "w", libver=("v110", "v110"), **options)
    try:
        yield file
    finally:
        try:
            file.close()
        except RuntimeError as error:
            number = re.search(r"errno = (\d+)", str(error))
            raise OSError(int(number[1]) if number else 0, str(error)) from error


def write_attributes(file: h5py.File, values: Mapping[str, str | int]) -> None:
    """Write attributes, text with a fixed length: of variable strings, damage makes HDF5 itself crash."""
    for name, value in values.items():
        file.attrs[name] = fixed_length(np.array(value)) if isinstance(value, str) else value


def text_of(attribute: Any) -> Any:
    """Return an attribute as it was written: text of a fixed length comes as bytes."""
    return attribute.decode() if isinstance(attribute, bytes) else attribute


def checksum(file: h5py.File, bulk: str) -> str:
    """Compute the SHA-256 of all that a store holds beside its `bulk` dataset and its `checksum`."""
    digest = hashlib.sha256()
    for name in sorted(set(file.attrs) - {"checksum"}):
        digest.update(f"{name}={file.attrs[name]!s};".encode())
    for name in sorted(set(file) - {bulk}):
        values = file[name][:]
        digest.update(f"{name}{values.shape}{values.dtype.str}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def check_own_data(file: h5py.File) -> None:
    """Refuse a store that names other files, from which HDF5 would read data, or more than it holds.

    Raises:
        ValueError: a dataset is a link to another file, its values lie in one, or it is larger than the file.
        KeyError: a link leads nowhere.
    """
    for name in file:
        found = file[name]
        elsewhere = found.file.filename != file.filename
        if elsewhere or (isinstance(found, h5py.Dataset) and (found.is_virtual or found.external)):
            raise ValueError(f"{name} lies in another file")
        if not isinstance(found, h5py.Dataset):
            raise ValueError(f"{name} is no dataset")
        declared = (found.size or 0) * found.id.get_type().get_size()
        if found.chunks is None and declared != found.id.get_storage_size():
            raise ValueError(f"{name} is declared with {declared} bytes and is not that long")
