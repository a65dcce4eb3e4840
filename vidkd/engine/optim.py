"""Optimizers, parameter groups and learning-rate schedules."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from vidkd.config.training import TrainingSettings

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


def one_group(model: nn.Module) -> list[dict[str, Any]]:
    """Put all parameters into one group, as in seed 004."""
    return [{"params": [p for p in model.parameters() if p.requires_grad]}]


def official_groups(
    model: nn.Module, settings: TrainingSettings, classifier: str = "fc"
) -> list[dict[str, Any]]:
    """Make the groups of TSM (Lin 2019): the classifier learns faster, norms and biases do not decay.

    The rate of the classifier is 5 times the others', and that of its bias 10 times.
    """
    norms = norm_parameters(model)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        is_bias = name.endswith(".bias")
        factor = (10.0 if is_bias else 5.0) if f".{classifier}." in f".{name}" else 1.0
        groups.setdefault((factor, not is_bias and id(parameter) not in norms), []).append(parameter)
    return [
        {"params": parameters, "lr": factor * settings.lr, "weight_decay": settings.weight_decay * decayed}
        for (factor, decayed), parameters in groups.items()
    ]


def norm_parameters(model: nn.Module) -> set[int]:
    """Return the `id` of each parameter of a norm."""
    return {id(p) for m in model.modules() if isinstance(m, _NORMS) for p in m.parameters()}


def build_optimizer(groups: list[dict[str, Any]], settings: TrainingSettings) -> torch.optim.Optimizer:
    """Build the optimizer over `groups`, which may carry a rate or decay of their own."""
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            groups, settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
    return torch.optim.AdamW(groups, settings.lr, weight_decay=settings.weight_decay)


def build_schedule(
    optimizer: torch.optim.Optimizer, settings: TrainingSettings, steps_per_epoch: int
) -> LambdaLR:
    """Build the schedule, which is advanced once per optimizer step."""
    return LambdaLR(optimizer, lambda step: rate_factor(step / steps_per_epoch, settings))


def rate_factor(epoch: float, settings: TrainingSettings) -> float:
    """Return the share of the peak learning rate after `epoch` (fractional) epochs."""
    if epoch < settings.warmup_epochs:
        return epoch / settings.warmup_epochs
    if settings.schedule == "step":
        return settings.step_factor ** sum(epoch >= milestone for milestone in settings.milestones)
    if settings.schedule == "constant":
        return 1.0
    done = (epoch - settings.warmup_epochs) / max(settings.epochs - settings.warmup_epochs, 1e-9)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
