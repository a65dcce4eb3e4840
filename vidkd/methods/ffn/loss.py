"""FFN's temporal distillation loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from vidkd.methods.ffn.settings import FFNSettings


def temporal_distillation(
    logits: Mapping[int, Tensor], label_B: Tensor, lambda_kl: float
) -> dict[str, Tensor]:
    """Take CE at the largest frame count, lambda x KL(p_largest || p_f) at the others; no temperature.

    Args:
        logits: frame count → logits (B, K).
        label_B: class indices (B,).
        lambda_kl: weight of the KL terms.

    Returns:
        Terms that add up to the loss, by name.
    """
    largest = max(logits)
    teacher_BK = F.log_softmax(logits[largest].float().detach(), dim=-1)
    terms = {f"ce_{largest}f_loss": F.cross_entropy(logits[largest].float(), label_B)}
    for count in sorted(set(logits) - {largest}):
        student_BK = F.log_softmax(logits[count].float(), dim=-1)
        kl = F.kl_div(student_BK, teacher_BK, reduction="batchmean", log_target=True)
        terms[f"kl_{count}f_loss"] = lambda_kl * kl
    return terms


def cross_entropy(logits: Mapping[int, Tensor], label_B: Tensor) -> dict[str, Tensor]:
    """Take CE at every frame count; the terms add up to the loss."""
    return {f"ce_{count}f_loss": F.cross_entropy(logits[count].float(), label_B) for count in sorted(logits)}


def loss_terms(logits: Mapping[int, Tensor], label_B: Tensor, settings: FFNSettings) -> dict[str, Tensor]:
    """Return the terms of the objective that `settings` name."""
    if settings.objective == "distillation" and settings.sampling == "all":
        return temporal_distillation(logits, label_B, settings.lambda_kl)
    return cross_entropy(logits, label_B)


def counts_of_step(settings: FFNSettings, generator: torch.Generator) -> tuple[int, ...]:
    """Choose the frame counts of a step: all, or one drawn (mixed: evenly; proportional: by its frames)."""
    counts = settings.frame_counts
    if settings.sampling == "all":
        return counts
    weights = torch.tensor([1.0 if settings.sampling == "mixed" else float(count) for count in counts])
    return (counts[int(torch.multinomial(weights, 1, generator=generator))],)
