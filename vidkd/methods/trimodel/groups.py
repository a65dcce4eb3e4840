"""Parameter groups of fine-tuning: low layers learn more slowly, norms and biases do not decay."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from vidkd.methods.trimodel.method import Distil
from vidkd.methods.trimodel.settings import TriModelSettings


def layer_groups(method: Distil, settings: TriModelSettings) -> list[dict[str, Any]]:
    """One group for each learning rate and decay (Bao et al., "BEiT", 2022; VideoMAE fine-tuning).

    The classifier, the norm before it and the projectors have the whole rate, the last layer `layer_decay` of
    it, and so on down to the patches.
    """
    depth = method.model.network.config.num_hidden_layers
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in method.named_parameters():
        below = depth - _layer(name, depth)
        groups.setdefault((below, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": settings.lr * settings.layer_decay**below,
            "weight_decay": settings.weight_decay * decayed,
        }
        for (below, decayed), parameters in groups.items()
    ]


def _layer(name: str, depth: int) -> int:
    """Where a parameter lies: -1 in the patches, 0 to depth - 1 in a layer, depth above all layers."""
    if match := re.search(r"encoder\.layer\.(\d+)\.", name):
        return int(match[1])
    return -1 if ".embeddings." in name else depth
