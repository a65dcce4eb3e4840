"""How like two sets of features of the same clips are, one feature a clip; its tokens: `token_errors`.

Shapes: N clips of all, D or E features.

Everything is summed in float64, and no matrix of clips by clips is held.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_BLOCK = 1024
"""Queries whose similarities to the gallery are held at once."""


def unbiased_cka(one_ND: Tensor, other_NE: Tensor) -> float:
    """Compute linear centred kernel alignment, HSIC unbiased; it is 1 for a rotated and scaled copy.

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
    """Say how often, in percent, the feature of the gallery nearest to a query by cosine is of its clip.

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
