"""What a process does with memory that is freed."""

from __future__ import annotations

import ctypes

# The names and numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_memory() -> None:
    """Keep memory that is freed until the process ends.

    glibc returns large arrays to the kernel when they are freed, and then each batch gets its memory page by
    page again. With another C library nothing happens.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)
