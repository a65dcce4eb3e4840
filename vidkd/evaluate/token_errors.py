"""How near predicted tokens are to the true ones: what a training of converters sees of their quality.

Shapes: B clips of a batch, T tokens of a clip, D features.

Everything is summed in float64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


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
        """Return the mean cosine between a predicted token and the true one."""
        return self._cosine / self._clips

    def cosine_of_mean(self) -> float:
        """Return the mean cosine of the constant prediction."""
        return self._mean_cosine / self._clips

    def r2(self) -> float:
        """Return R², at most 1; NaN where all clips are the same."""
        return self._r2(self._error)

    def r2_of_mean(self) -> float:
        """Return R² of the constant prediction, at most 0."""
        return self._r2(self._squares)

    def _r2(self, error: float) -> float:
        total = self._squares - self._sum_TD.square().sum().item() / self._clips
        return 1 - error / total if total > 0 else math.nan


def _cosines(predicted_BTD: Tensor, target_BTD: Tensor) -> float:
    """Sum over clips of the mean over tokens."""
    return F.cosine_similarity(predicted_BTD, target_BTD, dim=2).mean(1).sum().item()
