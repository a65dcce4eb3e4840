"""The objective of a fusion head."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vidkd.methods.probes.loss import cross_entropy


def terms(
    logit_BK: Tensor, label_B: Tensor, gates: Mapping[str, Tensor], gate_sparsity: float
) -> dict[str, Tensor]:
    """`ce_loss`, and where there are gates `gate_loss`; their sum is the loss.

    Args:
        logit_BK: logits.
        label_B: of each clip.
        gates: (B, N, 1) by teacher.
        gate_sparsity: weight of the mean gate, which is their L1 norm: a gate opens where it pays.
    """
    found = cross_entropy(logit_BK, label_B)
    if gates and gate_sparsity:
        means = torch.stack([gate_BN1.float().mean() for gate_BN1 in gates.values()])
        found["gate_loss"] = gate_sparsity * means.mean()
    return found
