"""Run a fusion head on all rows of a split."""

from __future__ import annotations

import torch
from torch import Tensor

from vidkd.data.feature_batches import FeatureJoin
from vidkd.data.feature_tokens import check_finite
from vidkd.methods.fusion.method import Fuse


@torch.no_grad()
def logits(method: Fuse, join: FeatureJoin, batch_size: int, device: torch.device) -> Tensor:
    """Logits (N, K) of all rows in order, in float32 and on the CPU.

    Raises:
        UserError: a feature is damaged, NaN or infinite.
    """
    found: list[Tensor] = []
    for batch in join.in_order(batch_size):
        check_finite(batch, join)
        found.append(method.logits(batch.to(device).features).float().cpu())
    return torch.cat(found)
