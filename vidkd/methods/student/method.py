"""A student in training, as the engine sees it: a batch in, named loss terms out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vidkd.data.clips import Batch
from vidkd.engine.processes import gathered
from vidkd.methods.student.loss import loss_terms
from vidkd.methods.student.model import Seen, Student
from vidkd.methods.student.settings import StudentSettings
from vidkd.methods.student.taught import Taught

Teacher = Callable[[Batch], Taught]
"""What a frozen teacher makes of a batch."""


class Distil(nn.Module):
    """The student with its objective; the teacher is no part of its parameters, states or modes."""

    def __init__(self, model: Student, teacher: Teacher | None, settings: StudentSettings) -> None:
        """Put together.

        Args:
            model: the student.
            teacher: no module, so that it is neither trained nor written; None where no term needs it.
            settings: of the student.
        """
        super().__init__()
        self.model, self.teacher, self.settings = model, teacher, settings

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Loss terms of a training batch, weighted, to be added up."""
        (clip_BTCHW,) = batch.clips.values()
        total = self.settings.batch_size
        taught = None
        if self.teacher is not None:
            taught = Taught(*(gathered(found, total) for found in self.teacher(batch)))
        seen = Seen(*(gathered(found, total) for found in self.model(clip_BTCHW)))
        return loss_terms(seen, taught, gathered(batch.label, total), self.settings)
