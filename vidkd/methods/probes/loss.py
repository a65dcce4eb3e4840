"""The loss of every head."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def cross_entropy(logit_BK: Tensor, label_B: Tensor) -> dict[str, Tensor]:
    """Mean cross entropy, as the one term that the training loop wants by name."""
    return {"ce_loss": F.cross_entropy(logit_BK.float(), label_B)}
