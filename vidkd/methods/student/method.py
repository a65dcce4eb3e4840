"""A student in training, as the engine sees it: a batch in, named loss terms out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vidkd.data.clips import Batch
from vidkd.engine.processes import gathered
from vidkd.methods.student.loss import loss_terms
from vidkd.methods.student.model import Student, StudentOutput
from vidkd.methods.student.settings import StudentSettings
from vidkd.methods.teacher_model import TeacherOutput

Teacher = Callable[[Batch], TeacherOutput]
"""Runs a frozen teacher on a batch."""


class Distil(nn.Module):
    """The student with its objective; the teacher is no part of its parameters, states or modes."""

    def __init__(self, model: Student, teacher: Teacher | None, settings: StudentSettings) -> None:
        """Take the parts.

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
        teacher = None
        if self.teacher is not None:
            teacher = TeacherOutput(*(gathered(found, total) for found in self.teacher(batch)))
        student = StudentOutput(*(gathered(found, total) for found in self.model(clip_BTCHW)))
        return loss_terms(student, teacher, gathered(batch.label, total), self.settings)
