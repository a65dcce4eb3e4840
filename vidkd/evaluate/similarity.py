"""How like two sets of features of the same clips are.

Shapes: B clips of a batch, N clips of all, T tokens of a clip, D or E features.

Everything is summed in float64, and no matrix of clips by clips is held.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_BLOCK = 1024
"""Queries whose similarities to the gallery are held at once."""


class TokenErrors:
    """Cosine and R² of predicted tokens, batch by batch, beside those of a constant prediction.

    R² is over clips, weighted by the variance of each feature at each place: `r2_score` of scikit-learn with
    multioutput="variance_weighted", rows of T times D values. A network whose features differ from place to
    place, as those with position embeddings do, gives no R² for knowing the place.
    """

    def __init__(self, mean_TD: Tensor) -> None:
        """Start with nothing.

        Args:
            mean_TD: what is predicted of every clip, such as the mean over training clips.
        """
        self._mean_TD = mean_TD.double()
        self._clips, self._error, self._cosine, self._mean_cosine = 0, 0.0, 0.0, 0.0
        # Around mean_TD, so that nothing is lost where features lie far from zero.
        self._sum_TD, self._squares = torch.zeros_like(self._mean_TD), 0.0

    def add(self, predicted_BTD: Tensor, target_BTD: Tensor) -> None:
        """Count the clips of a batch."""
        predicted_BTD, target_BTD = predicted_BTD.double(), target_BTD.double()
        around_BTD = target_BTD - self._mean_TD
        self._clips += len(target_BTD)
        self._error += (target_BTD - predicted_BTD).square().sum().item()
        self._sum_TD = self._sum_TD + around_BTD.sum(0)
        self._squares += around_BTD.square().sum().item()
        self._cosine += _cosines(predicted_BTD, target_BTD)
        self._mean_cosine += _cosines(self._mean_TD[None], target_BTD)

    def cosine(self) -> float:
        """Mean cosine between a predicted token and the true one."""
        return self._cosine / self._clips

    def cosine_of_mean(self) -> float:
        """The same of the constant prediction."""
        return self._mean_cosine / self._clips

    def r2(self) -> float:
        """R², at most 1; NaN where all clips are the same."""
        return self._r2(self._error)

    def r2_of_mean(self) -> float:
        """The same of the constant prediction: 0 if it is the very mean, or less."""
        return self._r2(self._squares)

    def _r2(self, error: float) -> float:
        total = self._squares - self._sum_TD.square().sum().item() / self._clips
        return 1 - error / total if total > 0 else math.nan


def _cosines(predicted_BTD: Tensor, target_BTD: Tensor) -> float:
    """Sum over clips of the mean over tokens."""
    return F.cosine_similarity(predicted_BTD, target_BTD, dim=2).mean(1).sum().item()


def unbiased_cka(one_ND: Tensor, other_NE: Tensor) -> float:
    """Linear centred kernel alignment with the unbiased estimator of HSIC; 1 for a rotated and scaled copy.

    Kornblith et al., "Similarity of Neural Network Representations Revisited", 2019; the estimator is Song et
    al., "Feature Selection via Dependence Maximization", 2012, equation 5. Its expectation is 0 for
    independent features, whatever their width, where the plain estimator comes near 1 with few clips.

    Returns:
        At most about 1, and a little below 0 by chance; NaN for fewer than 4 clips and for constant features.
    """
    if len(one_ND) < 4:
        return math.nan
    # The estimator is the same with or without the mean; without it, sums lose nothing.
    one, other = (part.double() - part.double().mean(0) for part in (one_ND, other_NE))
    own = _hsic(one, one) * _hsic(other, other)
    return _hsic(one, other) / math.sqrt(own) if own > 0 else math.nan


def retrieval_top1(query_ND: Tensor, gallery_ND: Tensor) -> float:
    """How often, in percent, the gallery's feature that is nearest to a query by cosine is of the same clip.

    Args:
        query_ND: a feature of each clip.
        gallery_ND: the true one of the same clips, in their order.
    """
    gallery_ND = F.normalize(gallery_ND.double(), dim=1)
    nearest_N = torch.cat(
        [(part @ gallery_ND.T).argmax(1) for part in F.normalize(query_ND.double(), dim=1).split(_BLOCK)]
    )
    return 100 * (nearest_N == torch.arange(len(gallery_ND))).double().mean().item()


def _hsic(one_ND: Tensor, other_NE: Tensor) -> float:
    """The unbiased estimator for linear kernels, in O(N D E).

    tr(K L) + (1ᵀK1)(1ᵀL1) / ((N-1)(N-2)) - 2 / (N-2) 1ᵀKL1, over N (N-3); K and L are the kernels with zeros
    on their diagonals.
    """
    n = len(one_ND)
    norms = [part.square().sum(1) for part in (one_ND, other_NE)]
    trace = (one_ND.T @ other_NE).square().sum() - norms[0] @ norms[1]
    # K1 and L1.
    rows = [part @ part.sum(0) - norm for part, norm in zip((one_ND, other_NE), norms, strict=True)]
    both = rows[0].sum() * rows[1].sum() / ((n - 1) * (n - 2))
    return ((trace + both - 2 / (n - 2) * rows[0] @ rows[1]) / (n * (n - 3))).item()
