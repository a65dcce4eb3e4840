"""Clips from a frame store: what a training or evaluation batch is made of.

The randomness of a sample depends on (seed, epoch, video id) only: the same clip comes out whatever the
number of workers, the order of shards, or how often a run was resumed.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from vidkd.config.clips import ClipSettings
from vidkd.data.augment import View, apply_view, centre_view, random_view
from vidkd.data.frames import FrameStore
from vidkd.data.sampling import evaluation_positions, training_positions
from vidkd.errors import UserError


@dataclass
class Batch:
    """uint8 clips (B, T, 3, H, W) by frame count, labels (B,), and their rows in the store (B,)."""

    clips: dict[int, Tensor]
    label: Tensor
    row: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on `device`."""
        clips = {count: clip.to(device, non_blocking=True) for count, clip in self.clips.items()}
        return Batch(clips, self.label.to(device, non_blocking=True), self.row)


class TrainingClips(Dataset):
    """Random clips of all frame counts from one read of each video; items are asked for as (epoch, row)."""

    def __init__(
        self,
        store: FrameStore,
        classes: Sequence[str],
        counts: Sequence[int],
        settings: ClipSettings,
        seed: int,
    ) -> None:
        self.store, self.counts, self.settings, self.seed = store, tuple(counts), settings, seed
        self.flipped = _labels_after_flip(classes, settings)
        if settings.rotation or any(settings.jitter):
            import vidkd.data.jitter  # noqa: F401 - once here, and not in each worker of each epoch

    def __getitem__(self, key: tuple[int, int]) -> tuple[dict[int, Tensor], int, int]:
        epoch, row = key
        settings, store = self.settings, self.store
        rng = np.random.default_rng([self.seed, epoch, zlib.crc32(store.video_ids[row].encode())])
        positions = {c: training_positions(store.per_video, c, settings, rng) for c in self.counts}
        height, width = store.sizes[row]
        view = random_view(height, width, settings, rng)
        label = int(store.label_ids[row])
        clips = _clips(store, row, positions, view, settings.size)
        return clips, int(self.flipped[label]) if view.flip else label, row


class EvaluationClips(Dataset):
    """Centre clips of the given frame counts; items are asked for by row."""

    def __init__(self, store: FrameStore, counts: Sequence[int], settings: ClipSettings) -> None:
        self.store, self.counts, self.settings = store, tuple(counts), settings

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, row: int) -> tuple[dict[int, Tensor], int, int]:
        settings, store = self.settings, self.store
        positions = {c: evaluation_positions(store.per_video, c, settings) for c in self.counts}
        height, width = store.sizes[row]
        view = centre_view(height, width, settings.eval_crop)
        clips = _clips(store, row, positions, view, settings.size)
        return clips, int(store.label_ids[row]), row


class EpochBatches(Sampler):
    """The batches of one epoch in its seeded order, as lists of (epoch, row), from batch `start` on.

    A last batch that is not full is left out: batch statistics of a few clips would differ from all others.
    """

    def __init__(self, n_clips: int, batch_size: int, seed: int, epoch: int, start: int = 0) -> None:
        order = np.random.default_rng([seed, epoch]).permutation(n_clips)
        n_batches = n_clips // batch_size
        self.batches = order[: n_batches * batch_size].reshape(n_batches, batch_size)[start:]
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in self.batches:
            yield [(self.epoch, int(row)) for row in batch]


def collate(samples: Sequence[tuple[dict[int, Tensor], int, int]]) -> Batch:
    """Stack samples into a batch."""
    clips, labels, rows = zip(*samples, strict=True)
    stacked = {count: torch.stack([clip[count] for clip in clips]) for count in clips[0]}
    return Batch(stacked, torch.tensor(labels), torch.tensor(rows))


def clip_loader(clips: Dataset, workers: int, **batching: Any) -> DataLoader:
    """A loader of `clips` that leaves the global random generator alone, as an exact resume needs."""
    generator = torch.Generator()
    return DataLoader(
        clips,
        num_workers=workers,
        collate_fn=collate,
        generator=generator,
        worker_init_fn=_leave_group,
        **batching,
    )


def _leave_group(_worker: int) -> None:
    """A signal to the process group is for the job, which saves its state; it ends the workers itself."""
    os.setpgrp()


class ClipBatches:
    """The training batches of every epoch, as the training loop asks for them."""

    def __init__(
        self,
        clips: TrainingClips,
        batch_size: int,
        seed: int,
        workers: int,
        max_batches: int | None = None,
    ) -> None:
        """Plan the batches.

        Args:
            clips: what they are made of.
            batch_size: clips of a batch.
            seed: of the order.
            workers: loader processes.
            max_batches: cut an epoch to so many (a test run).

        Raises:
            UserError: there are fewer clips than one batch.
        """
        self.clips, self.batch_size, self.seed, self.workers = clips, batch_size, seed, workers
        count = len(clips.store)
        if count < batch_size:
            raise UserError(f"batch_size {batch_size} is larger than the {count} training clips: lower it.")
        full = count // batch_size
        self.steps_per_epoch = full if max_batches is None else min(full, max_batches)

    def batches(self, epoch: int, start: int) -> Iterable[Batch]:
        """The batches of `epoch` from number `start` on."""
        order = EpochBatches(len(self.clips.store), self.batch_size, self.seed, epoch, start)
        loader = clip_loader(self.clips, self.workers, batch_sampler=order)
        return islice(loader, self.steps_per_epoch - start)


def evaluation_loader(
    store: FrameStore, counts: Sequence[int], settings: ClipSettings, batch_size: int, workers: int
) -> DataLoader:
    """Every clip of the store once, in order."""
    return clip_loader(EvaluationClips(store, counts, settings), workers, batch_size=batch_size)


def check_clips(store: FrameStore, frames: int, settings: ClipSettings, sampling: str) -> None:
    """Refuse clips that the stored videos cannot give.

    Args:
        store: the videos.
        frames: of the longest clip.
        settings: of the clips.
        sampling: how their frames are chosen: `frame_sampling` or `eval_frame_sampling` of the settings.

    Raises:
        UserError: the store is empty, or its videos have too few frames.
    """
    if len(store) == 0:
        raise UserError(
            "a split has no clip: see data/excluded.csv in the results folder, and data.annotations."
        )
    if (needed := settings.kept_frames(frames, sampling)) > store.per_video:
        dense = f"; dense ones span {needed}" if needed > frames else ""
        raise UserError(
            f"{frames} frames are asked of videos stored with {store.per_video}{dense}: raise "
            "frames.per_video, or ask for fewer."
        )


def _clips(
    store: FrameStore, row: int, positions: dict[int, np.ndarray], view: View, size: int
) -> dict[int, Tensor]:
    wanted = np.unique(np.concatenate(list(positions.values())))
    frames = apply_view(store.clip(row, wanted), view, size)
    return {count: frames[np.searchsorted(wanted, chosen)] for count, chosen in positions.items()}


def _labels_after_flip(classes: Sequence[str], settings: ClipSettings) -> np.ndarray:
    mapping = np.arange(len(classes))
    if settings.flip != "swap":
        return mapping
    for left, right in settings.flip_labels.items():
        for name in (left, right):
            if name not in classes:
                raise UserError(f"flip_labels: no class is named {name!r}; known: {', '.join(classes)}")
        mapping[classes.index(left)], mapping[classes.index(right)] = (
            classes.index(right),
            classes.index(left),
        )
    return mapping
