"""A fusion head in training, as the engine sees it: a batch in, named loss terms out.

A frozen converter is not here but where features come from (`vidkd.methods.converters.convert`): it is
neither trained nor written with the head. One that is trained on with the head is.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidkd.features.batches import FeatureBatch
from vidkd.methods.converters.model import Converter
from vidkd.methods.fusion.model import FusionHead


class Fuse(nn.Module):
    """The head with its objective, and the converters that are trained with it.

    Attributes:
        model: the head.
        converters: by teacher; empty unless they are trained with the head.
        student: name of the features that they convert.
        gate_sparsity: weight of the mean gate in the loss.
    """

    def __init__(
        self, model: FusionHead, converters: Mapping[str, Converter], student: str, gate_sparsity: float
    ) -> None:
        super().__init__()
        self.model, self.converters = model, nn.ModuleDict(converters).requires_grad_()
        self.student, self.gate_sparsity = student, gate_sparsity

    def forward(self, batch: FeatureBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Return `ce_loss`, and `gate_loss` where there are gates; their sum is the loss."""
        fused_BNd, gates = self.model.fused(self.inputs(batch.features))
        terms = {"ce_loss": F.cross_entropy(self.model.classify(fused_BNd).float(), batch.label)}
        if gates and self.gate_sparsity:
            # A mean gate is its L1 norm: it opens where that pays.
            means = torch.stack([gate_BN1.float().mean() for gate_BN1 in gates.values()])
            terms["gate_loss"] = self.gate_sparsity * means.mean()
        return terms

    def logits(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return logits (B, K) of what a batch has."""
        logit_BK: Tensor = self.model(self.inputs(features))
        return logit_BK

    def inputs(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return all inputs of the head: what a batch has, and what converters here make of the student's."""
        converted = {name: of(features[self.student]) for name, of in self.converters.items()}
        return {**features, **converted}
