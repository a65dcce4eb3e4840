"""What a student learns from: classes, hidden states, attention, and where teacher and assistant differ.

total = alpha classification + beta feature + gamma attention + delta asymmetric (seed 002). Every term acts
on the student: the public code computed its asymmetric term from the two frozen networks alone.

Shapes in names: B clips, N tokens, D features, K classes, S sources (teacher, assistant).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from vidkd.data.tables import UNLABELLED
from vidkd.methods.trimodel.model import Inside
from vidkd.methods.trimodel.settings import ASSISTANT, TEACHER, TriModelSettings


def classification(logit_BK: Tensor, label_B: Tensor, share_BK: Tensor | None = None) -> Tensor | None:
    """Mean cross-entropy of the clips that have a label; None where none has.

    Args:
        logit_BK: of the student.
        label_B: the labels, or UNLABELLED.
        share_BK: where clips carry several classes, what share of its label each class is: of k classes 1/k
            each (Mahajan et al., "Exploring the Limits of Weakly Supervised Pretraining", 2018).
    """
    known_B = label_B != UNLABELLED
    target = label_B if share_BK is None else share_BK
    return F.cross_entropy(logit_BK[known_B].float(), target[known_B]) if known_B.any() else None


def hidden_distance(projected: Sequence[Tensor], taught: Sequence[Tensor], form: str) -> Tensor:
    """Mean squared error of tokens (B, N, D), mean over layers; of `normalised` tokens, standardised each."""
    prepared = _standardised if form == "normalised" else Tensor.float
    distances = [
        F.mse_loss(prepared(own_BND), prepared(other_BND))
        for own_BND, other_BND in zip(projected, taught, strict=True)
    ]
    return torch.stack(distances).mean()


def attention_distance(own: Sequence[Tensor], taught: Sequence[Tensor], form: str) -> Tensor:
    """Of maps (B, N, N), mean over layers: the KL of their rows from the taught ones, or squared error."""
    return torch.stack(
        [
            F.mse_loss(own_BNN, taught_BNN) if form == "mse" else _row_kl(own_BNN, taught_BNN)
            for own_BNN, taught_BNN in zip(own, taught, strict=True)
        ]
    ).mean()


def confidence(
    logit_BK: Tensor, taught: Mapping[str, Tensor], weights: Mapping[str, float], temperature: float
) -> Tensor:
    """T² KL(mixture ‖ student) of softened classes: for each clip, who is surer has more of the mixture.

    Sureness is 1 - entropy / log K of the classes at temperature 1, times the weight of the network.

    Args:
        logit_BK: of the student.
        taught: logits (B, K) by source.
        weights: of the sources.
        temperature: T.
    """
    logit_SBK = torch.stack([taught[name].float() for name in weights])
    sure_SB = torch.stack([weight * sureness(taught[name]) for name, weight in weights.items()])
    share_SB1 = (sure_SB / sure_SB.sum(0)).unsqueeze(-1)
    mixture_BK = (share_SB1 * (logit_SBK / temperature).softmax(2)).sum(0)
    own_BK = (logit_BK.float() / temperature).log_softmax(1)
    return temperature**2 * F.kl_div(own_BK, mixture_BK, reduction="batchmean")


def sureness(logit_BK: Tensor) -> Tensor:
    """(B) 0 where all classes are as likely, 1 where one is certain; never quite 0."""
    log_BK = logit_BK.float().log_softmax(1)
    entropy_B = -(log_BK.exp() * log_BK).sum(1)
    return (1 - entropy_B / math.log(logit_BK.shape[1])).clamp(min=1e-6)


def decorrelation(facing_teacher_BND: Tensor, facing_assistant_BND: Tensor) -> Tensor:
    """Mean squared correlation between what the student gives to the two projectors, over all tokens.

    The projectors are anchored by the feature terms: what is left to the student is to carry both networks'
    knowledge in different features.
    """
    one_MD, other_ME = (
        _by_feature(facing.float().flatten(0, 1)) for facing in (facing_teacher_BND, facing_assistant_BND)
    )
    return (one_MD.T @ other_ME / len(one_MD)).square().mean()


def asymmetric(
    logit_BK: Tensor,
    taught: Mapping[str, Inside],
    projected: Mapping[str, Sequence[Tensor]],
    settings: TriModelSettings,
) -> Tensor:
    """The asymmetric term that the settings name; of projected hidden states the first layer's count."""
    if settings.asymmetric == "decorrelation":
        return decorrelation(projected[TEACHER][0], projected[ASSISTANT][0])
    logits = {name: found.logits for name, found in taught.items()}
    return confidence(logit_BK, logits, settings.sources, settings.temperature)


def _standardised(token_BND: Tensor) -> Tensor:
    return F.layer_norm(token_BND.float(), token_BND.shape[-1:])


def _row_kl(own_BNN: Tensor, taught_BNN: Tensor) -> Tensor:
    """Mean over rows of KL(taught ‖ own); a weight that underflowed counts as the smallest there is."""
    least = torch.finfo(torch.float32).tiny
    logs = own_BNN.clamp(min=least).log(), taught_BNN.clamp(min=least).log()
    return F.kl_div(*logs, reduction="none", log_target=True).sum(-1).mean()


def _by_feature(token_MD: Tensor) -> Tensor:
    """Each feature with mean 0 and deviation 1 over the tokens."""
    return (token_MD - token_MD.mean(0)) / (token_MD.std(0, correction=0) + 1e-6)
