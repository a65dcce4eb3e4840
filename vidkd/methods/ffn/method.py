"""FFN training as the engine sees it: a batch in, named loss terms out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidkd.data.clips import Batch
from vidkd.engine.processes import gathered
from vidkd.methods.ffn.loss import counts_of_step, loss_terms
from vidkd.methods.ffn.model import build_model
from vidkd.methods.ffn.settings import FFNSettings


class FFN(nn.Module):
    """The network with its objective. TSM is the case of one frame count."""

    def __init__(self, settings: FFNSettings, n_classes: int) -> None:
        super().__init__()
        self.settings = settings
        self.model = build_model(settings, n_classes)

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Loss terms of a training batch, weighted, to be added up."""
        counts, total = counts_of_step(self.settings, generator), self.settings.batch_size
        logits = {count: gathered(self.model(batch.clips[count]), total) for count in counts}
        return loss_terms(logits, gathered(batch.label, total), self.settings)

    def scores(self, batch: Batch) -> dict[int, Tensor]:
        """Logits (B, K) by frame count of an evaluation batch."""
        return {count: self.model(clip) for count, clip in batch.clips.items()}

    def selection(self, accuracy: dict[int, float]) -> float:
        """The validation figure that chooses the best epoch."""
        if self.settings.select == "largest":
            return accuracy[max(accuracy)]
        return sum(accuracy.values()) / len(accuracy)
