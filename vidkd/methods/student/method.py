"""A student in training, as the engine sees it: a batch in, named loss terms out; and its online teacher."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vidkd.data.augment import resized
from vidkd.data.clips import Batch
from vidkd.engine.processes import gathered
from vidkd.methods.student.loss import loss_terms
from vidkd.methods.student.model import Student, StudentOutput
from vidkd.methods.student.settings import StudentSettings
from vidkd.methods.teacher_model import TeacherHead, TeacherOutput

if TYPE_CHECKING:  # open_clip, which a student without an online teacher does without
    from vidkd.backbones.clip import CLIP

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


class OnlineTeacher:
    """Runs the frozen teacher on the very clip of the student, resized to the teacher's own size.

    It is no module, so that neither the optimizer nor the checkpoints of a student's training know it.
    """

    def __init__(self, network: CLIP, head: TeacherHead, device: torch.device) -> None:
        self.network, self.head = network.to(device), head.to(device)

    @torch.no_grad()
    def __call__(self, batch: Batch) -> TeacherOutput:
        """Run it on a batch with one frame count."""
        (clip_BTCHW,) = batch.clips.values()
        frame_NCHW = resized(clip_BTCHW.flatten(0, 1), self.network.spec.size)
        clip_BTCHW = frame_NCHW.unflatten(0, clip_BTCHW.shape[:2])
        # In float32, as its head was made and measured, whatever the student computes in.
        with torch.autocast(clip_BTCHW.device.type, enabled=False):
            feature_BTD = self.network.encode(self.network.normalise(clip_BTCHW)).squeeze(2)
            output: TeacherOutput = self.head(feature_BTD)
        return output
