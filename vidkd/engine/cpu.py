"""How a process computes on the CPU."""

from __future__ import annotations

import torch

from vidkd.engine.memory import keep_memory


def use_cpu(threads: int) -> None:
    """Compute with so many threads, and keep memory that is freed.

    A sum's last bit depends on the number of threads, which must not be the machine's choice.
    """
    torch.set_num_threads(threads)
    keep_memory()
