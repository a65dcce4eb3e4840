"""What a network costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(network: nn.Module) -> int:
    """Count the parameters of a network."""
    return sum(parameter.numel() for parameter in network.parameters())


def gflops(network: nn.Module, frames: int, size: int) -> float:
    """Count the GFLOPs of one clip of `frames` frames; see `gflops_of`."""
    device = next(network.parameters()).device
    clip_BTCHW = torch.zeros(1, frames, 3, size, size, dtype=torch.uint8, device=device)
    return gflops_of(lambda: network(clip_BTCHW))


@torch.inference_mode()
def gflops_of(run: Callable[[], object]) -> float:
    """Count the GFLOPs of a run as video papers do: one multiply-add is one operation."""
    counter = FlopCounterMode(display=False)
    with _plain_attention(), counter:
        run()
    return counter.get_total_flops() / 2e9


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention as products of matrices: the counter knows no fused form on a CPU, and counts it as none."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
