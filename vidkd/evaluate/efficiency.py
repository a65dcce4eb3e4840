"""What a network costs."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(network: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.inference_mode()
def gflops(network: nn.Module, frames: int, size: int) -> float:
    """GFLOPs of one clip of `frames` frames as video papers count them: one multiply-add is one operation."""
    device = next(network.parameters()).device
    clip_BTCHW = torch.zeros(1, frames, 3, size, size, dtype=torch.uint8, device=device)
    counter = FlopCounterMode(display=False)
    with counter:
        network(clip_BTCHW)
    return counter.get_total_flops() / 2e9
