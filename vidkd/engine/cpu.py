"""How a process uses the CPU and its memory."""

from __future__ import annotations

import ctypes

# The names and numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def use_cpu(threads: int) -> None:
    """Compute with so many threads, and keep memory that is freed.

    A sum's last bit depends on the number of threads, which must not be the machine's choice.
    """
    import torch  # here, for a job that only keeps memory would wait for it

    torch.set_num_threads(threads)
    keep_memory()


def keep_memory() -> None:
    """Keep memory that is freed until the process ends.

    glibc returns large arrays to the kernel when they are freed, and then each batch gets its memory page by
    page again. With another C library nothing happens.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)
