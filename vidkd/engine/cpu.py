"""How a process computes on the CPU."""

from __future__ import annotations

import ctypes

import torch

# The names and numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def use_cpu(threads: int) -> None:
    """Compute with so many threads, and keep memory that is freed.

    A sum's last bit depends on the number of threads, which must not be the machine's choice. glibc returns
    tensors of more than 32 MB to the kernel when they are freed, and then each batch gets its memory page by
    page again; here the process keeps it until it ends. With another C library only the threads are set.
    """
    torch.set_num_threads(threads)
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)
