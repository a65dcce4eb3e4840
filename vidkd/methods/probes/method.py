"""A head in training, as the engine sees it: a batch in, named loss terms out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidkd.features.batches import FeatureBatch
from vidkd.methods.probes.loss import cross_entropy


class Probe(nn.Module):
    """The head with its objective; the frozen network is not here, only what it made."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: FeatureBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Loss terms of a training batch."""
        (feature_BND,) = batch.features.values()
        return cross_entropy(self.model(feature_BND), batch.label)
