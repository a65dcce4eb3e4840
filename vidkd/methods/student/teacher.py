"""The frozen teacher while a student trains, on the very clip of the student."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vidkd.data.augment import resized
from vidkd.data.clips import Batch
from vidkd.methods.teacher_model import TeacherHead, TeacherOutput

if TYPE_CHECKING:  # open_clip, which a student without an online teacher does without
    from vidkd.backbones.clip import CLIP


class OnlineTeacher:
    """The teacher on the very clip of the student, resized to the teacher's own size.

    No module, so that neither the optimizer nor the checkpoints of a student's training know it.
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
