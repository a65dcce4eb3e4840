"""Top-k accuracy."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def top_k(score_BK: Tensor, label_B: Tensor, k: int = 1) -> float:
    """Return the share of rows, in percent, whose label is among the k highest scores."""
    best = score_BK.topk(min(k, score_BK.shape[1]), dim=1).indices
    return 100 * (best == label_B[:, None]).any(dim=1).double().mean().item()


def accuracy_by_count(scores: Mapping[int, Tensor], label_B: Tensor) -> dict[int, float]:
    """Return the top-1 accuracy in percent for each frame count."""
    return {count: top_k(score, label_B) for count, score in scores.items()}
