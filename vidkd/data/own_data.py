"""Whether an HDF5 file has its data in itself: HDF5 would read them from any other file that it names."""

from __future__ import annotations

import h5py


def check_own_data(file: h5py.File) -> None:
    """Refuse a store that names other files.

    Raises:
        ValueError: a dataset is a link to another file, or its values lie in one.
        KeyError: a link leads nowhere.
    """
    for name in file:
        found = file[name]
        elsewhere = found.file.filename != file.filename
        if elsewhere or (isinstance(found, h5py.Dataset) and (found.is_virtual or found.external)):
            raise ValueError(f"{name} lies in another file")
