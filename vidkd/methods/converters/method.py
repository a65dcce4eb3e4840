"""A converter in training, as the engine sees it: a batch in, named loss terms out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidkd.features.batches import FeatureBatch
from vidkd.methods.converters.loss import terms
from vidkd.methods.converters.model import Converter
from vidkd.methods.converters.settings import ConverterSettings


class Convert(nn.Module):
    """The converter with its objective; both networks are frozen and not here, only what they made."""

    def __init__(self, model: Converter, settings: ConverterSettings) -> None:
        super().__init__()
        self.model, self.settings = model, settings

    def forward(self, batch: FeatureBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Loss terms of a training batch: the student's features first, then the teacher's."""
        predicted_BMD, target_BMD = self.predicted(batch)
        with torch.autocast(predicted_BMD.device.type, enabled=False):  # what sums over a batch stays float32
            return terms(predicted_BMD, target_BMD, self.settings)

    def predicted(self, batch: FeatureBatch) -> tuple[Tensor, Tensor]:
        """Converted features (B, M, D) of a batch, and the teacher's own; both standardised, float32."""
        student_BND, teacher_BMD = batch.features.values()
        return self.model.standardised(student_BND), self.model.teacher(teacher_BMD)
