"""A frozen teacher while a student trains, by its cached features: no network runs."""

from __future__ import annotations

from collections.abc import Collection

import torch

from vidkd.data.clips import Batch
from vidkd.features.batches import FeatureSource
from vidkd.methods.teacher_model import TeacherHead, TeacherOutput


class CachedTeacher:
    """The teacher's cached features of the same videos, found by their ids."""

    def __init__(
        self, store: FeatureSource, video_ids: Collection[str], head: TeacherHead, device: torch.device
    ) -> None:
        """Find the rows.

        Args:
            store: the cached features.
            video_ids: of each row that a batch may have, in their order.
            head: of the teacher.
            device: of the training.

        Raises:
            UserError: lists videos that the cache lacks, or says that it is damaged.
        """
        self.store, self.rows = store, store.rows_of(list(video_ids))
        self.head, self.device = head.to(device), device
        store.verify()

    @torch.no_grad()
    def __call__(self, batch: Batch) -> TeacherOutput:
        """Look up the videos of a batch."""
        feature_BTD = self.store.rows(self.rows[batch.row.numpy()])
        with torch.autocast(self.device.type, enabled=False):
            output: TeacherOutput = self.head(feature_BTD.to(self.device))
        return output
