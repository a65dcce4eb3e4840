"""Files in memory, without a file descriptor for each.

`numpy.memmap` holds one for as long as the map lives, and a process may have 1,024: six caches of 200 shards
would be too many.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_int64)
_LIBC.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_FAILED = ctypes.c_void_p(-1).value


def map_bytes(path: Path, start: int, length: int) -> NDArray[np.uint8]:
    """Map a part of a file, read-only; the map ends with the last array that looks at it.

    Returns:
        (length) the bytes from `start` on.

    Raises:
        OSError: the file cannot be opened or mapped, or is shorter.
    """
    if length == 0:
        return np.empty(0, np.uint8)
    before = start % mmap.ALLOCATIONGRANULARITY
    size = before + length
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < start + length:
            raise OSError(f"{path} ends before byte {start + length}")
        address = _LIBC.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), start - before)
    if address == _FAILED:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    mapped = (ctypes.c_uint8 * size).from_address(address)
    # Not at exit, where a thread may still read it.
    weakref.finalize(mapped, _LIBC.munmap, address, size).atexit = False
    found = np.ctypeslib.as_array(mapped)[before:]
    found.flags.writeable = False
    return found
