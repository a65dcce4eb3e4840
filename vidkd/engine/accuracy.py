"""Top-k accuracy, and what validation says of a classifier."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

from vidkd.errors import UserError


def top_k(score_BK: Tensor, label_B: Tensor, k: int = 1) -> float:
    """Return the share of rows, in percent, whose label is among the k highest scores."""
    best = score_BK.topk(min(k, score_BK.shape[1]), dim=1).indices
    return 100 * (best == label_B[:, None]).any(dim=1).double().mean().item()


def accuracy_by_count(scores: Mapping[int, Tensor], label_B: Tensor) -> dict[int, float]:
    """Return the top-1 accuracy in percent for each frame count."""
    return {count: top_k(score, label_B) for count, score in scores.items()}


def validation_row(logit_NK: Tensor, label_N: Tensor) -> dict[str, float]:
    """Make the columns `val_loss` and `val_top1` (in percent) of `history.csv`.

    Raises:
        UserError: a logit is not finite: as an accuracy it would pass for one of the first class.
    """
    if not logit_NK.isfinite().all():
        raise UserError("the logits of validation became NaN or infinite: lower lr, or set clip_grad")
    return {"val_loss": F.cross_entropy(logit_NK, label_N).item(), "val_top1": top_k(logit_NK, label_N)}
