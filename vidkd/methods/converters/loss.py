"""What makes converted features like the teacher's: the terms of the objective, on standardised features.

Shapes in names: B clips, N tokens of a clip, D features. What compares the clips of a batch with each other
does so by their mean token.

The teacher is frozen: of VICReg and Barlow Twins there is what has a gradient at the converter.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from vidkd.errors import UserError
from vidkd.methods.converters.settings import LOSSES, ConverterSettings

BETWEEN_CLIPS = ("infonce", "vicreg", "barlow")
"""Terms that compare the clips of a batch."""


def terms(predicted_BND: Tensor, target_BND: Tensor, settings: ConverterSettings) -> dict[str, Tensor]:
    """Return the terms of `settings.loss`, each times its weight, as `{name}_loss`; their sum is the loss.

    Args:
        predicted_BND: converted features, standardised.
        target_BND: the teacher's, standardised.
        settings: of the converter.

    Raises:
        UserError: a term compares the clips of a batch, and there is one.
    """
    asked = [name for name in LOSSES if name in settings.loss]  # no sum depends on the order of a mapping
    if len(predicted_BND) < 2 and (alone := [name for name in asked if name in BETWEEN_CLIPS]):
        raise UserError(
            f"{', '.join(alone)} compares the videos of a batch with each other, and here is one: raise "
            "batch_size above 1, with more than one validation video, or leave it out of loss"
        )
    return {
        f"{name}_loss": settings.loss[name] * TERMS[name](predicted_BND, target_BND, settings)
        for name in asked
    }


def l1(predicted_BND: Tensor, target_BND: Tensor, settings: ConverterSettings) -> Tensor:
    """Take the mean absolute difference."""
    return F.l1_loss(predicted_BND, target_BND)


def l2(predicted_BND: Tensor, target_BND: Tensor, settings: ConverterSettings) -> Tensor:
    """Take the mean squared difference."""
    return F.mse_loss(predicted_BND, target_BND)


def cosine(predicted_BND: Tensor, target_BND: Tensor, settings: ConverterSettings) -> Tensor:
    """Take one minus the cosine of each token, mean."""
    return 1 - F.cosine_similarity(predicted_BND, target_BND, dim=-1).mean()


def infonce(predicted_BND: Tensor, target_BND: Tensor, settings: ConverterSettings) -> Tensor:
    """Tell each clip from the others of the batch, both ways (van den Oord et al. 2018)."""
    predicted_BD, target_BD = (F.normalize(of.mean(1), dim=1) for of in (predicted_BND, target_BND))
    logit_BB = predicted_BD @ target_BD.T / settings.temperature
    own_B = torch.arange(len(logit_BB), device=logit_BB.device)
    return (F.cross_entropy(logit_BB, own_B) + F.cross_entropy(logit_BB.T, own_B)) / 2


def vicreg(predicted_BND: Tensor, target_BND: Tensor, settings: ConverterSettings) -> Tensor:
    """Weigh invariance, variance and covariance, these two of converted features (Bardes et al. 2022)."""
    predicted_BD, target_BD = predicted_BND.mean(1), target_BND.mean(1)
    deviation_D = (predicted_BD.var(0) + 1e-4).sqrt()
    centred_BD = predicted_BD - predicted_BD.mean(0)
    covariance_DD = centred_BD.T @ centred_BD / (len(centred_BD) - 1)
    parts = (
        F.mse_loss(predicted_BD, target_BD),
        F.relu(1 - deviation_D).mean(),
        _off_diagonal(covariance_DD.square()) / len(covariance_DD),
    )
    return torch.stack([weight * part for weight, part in zip(settings.vicreg, parts, strict=True)]).sum()


def barlow(predicted_BND: Tensor, target_BND: Tensor, settings: ConverterSettings) -> Tensor:
    """Compare the cross-correlation of the batch with the identity (Zbontar et al. 2021)."""
    predicted_BD, target_BD = (_scaled(of.mean(1)) for of in (predicted_BND, target_BND))
    correlation_DD = predicted_BD.T @ target_BD / len(predicted_BD)
    own = (correlation_DD.diagonal() - 1).square().sum()
    return own + settings.barlow_off_diagonal * _off_diagonal(correlation_DD.square())


TERMS: dict[str, Callable[[Tensor, Tensor, ConverterSettings], Tensor]] = {
    "l1": l1, "l2": l2, "cosine": cosine, "infonce": infonce, "vicreg": vicreg, "barlow": barlow,
}  # fmt: skip


def _off_diagonal(value_DD: Tensor) -> Tensor:
    return value_DD.sum() - value_DD.diagonal().sum()


def _scaled(value_BD: Tensor) -> Tensor:
    # A feature that is the same in the whole batch correlates with nothing.
    return (value_BD - value_BD.mean(0)) / (value_BD.var(0, correction=0) + 1e-5).sqrt()
