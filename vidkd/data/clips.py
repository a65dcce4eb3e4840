"""Clips from a frame store: what a training or evaluation batch is made of.

The randomness of a sample depends on (seed, epoch, video id) only: the same clip comes out whatever the
number of workers, the order of shards, or how often a run was resumed.
"""

from __future__ import annotations

import math
import os
import signal
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from vidkd.data.augment import View, apply_view, centre_view, random_view
from vidkd.data.sampling import evaluation_positions, training_positions
from vidkd.data.selected import Clips, Frames
from vidkd.data.tables import UNLABELLED
from vidkd.engine.processes import count as count_processes
from vidkd.engine.processes import index, part
from vidkd.engine.runtime import STOP_SIGNALS
from vidkd.errors import UserError

if TYPE_CHECKING:  # frames and features are made without clip settings, and do not run again because of them
    from vidkd.config.clips import ClipSettings


@dataclass(frozen=True)
class Sample:
    """One video as all frame counts see it.

    Attributes:
        frames: uint8 (U, 3, H, W), each wanted frame once.
        chosen: frame count → which of them, int64 (count,).
        label: position in classes.json, or UNLABELLED.
        row: of the video in the store.
    """

    frames: Tensor
    chosen: dict[int, Tensor]
    label: int
    row: int

    def clip(self, count: int) -> Tensor:
        """Return the clip of `count` frames: uint8 (count, 3, H, W)."""
        return self.frames[self.chosen[count]]


@dataclass
class Batch:
    """uint8 clips (B, T, 3, H, W) by frame count, labels (B,), and their rows in the store (B,)."""

    clips: dict[int, Tensor]
    label: Tensor
    row: Tensor

    def to(self, device: torch.device) -> Batch:
        """Copy the batch to `device`; rows stay on the CPU."""
        clips = {count: clip.to(device, non_blocking=True) for count, clip in self.clips.items()}
        return Batch(clips, self.label.to(device, non_blocking=True), self.row)

    def pin_memory(self) -> Batch:
        """Copy the batch to memory that a GPU can copy from while the program goes on."""
        clips = {count: clip.pin_memory() for count, clip in self.clips.items()}
        return Batch(clips, self.label.pin_memory(), self.row)


class TrainingClips(Dataset):
    """Random clips of all frame counts from one read of each video; items are asked for as (epoch, row)."""

    def __init__(
        self,
        store: Clips,
        classes: Sequence[str],
        counts: Sequence[int],
        settings: ClipSettings,
        seed: int,
    ) -> None:
        self.store, self.counts, self.settings, self.seed = store, tuple(counts), settings, seed
        self.flipped = _labels_after_flip(classes, settings)
        if settings.rotation or any(settings.jitter):
            import vidkd.data.jitter  # noqa: F401 - once here, and not in each worker of each epoch

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, row = key
        settings, store = self.settings, self.store
        rng = np.random.default_rng([self.seed, epoch, zlib.crc32(store.video_ids[row].encode())])
        positions = {c: training_positions(store.per_video, c, settings, rng) for c in self.counts}
        height, width = store.sizes[row]
        view = random_view(height, width, settings, rng)
        label = int(store.label_ids[row])
        label = int(self.flipped[label]) if view.flip and label != UNLABELLED else label
        return _sample(store, row, positions, view, settings.size, label)


class EvaluationClips(Dataset):
    """Centre clips of the given frame counts; items are asked for by row."""

    def __init__(self, store: Frames, counts: Sequence[int], settings: ClipSettings) -> None:
        self.store, self.counts, self.settings = store, tuple(counts), settings

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, row: int) -> Sample:
        settings, store = self.settings, self.store
        positions = {c: evaluation_positions(store.per_video, c, settings) for c in self.counts}
        height, width = store.sizes[row]
        view = centre_view(height, width, settings.eval_crop)
        return _sample(store, row, positions, view, settings.size, int(store.label_ids[row]))


class EpochBatches(Sampler):
    """The batches of one epoch in its seeded order, as lists of (epoch, row), from batch `start` on.

    A last batch that is not full is left out: batch statistics of a few clips would differ from all others.
    Of several processes each has its own part of every batch.
    """

    def __init__(self, n_clips: int, batch_size: int, seed: int, epoch: int, start: int = 0) -> None:
        order = np.random.default_rng([seed, epoch]).permutation(n_clips)
        n_batches = n_clips // batch_size
        self.batches = order[: n_batches * batch_size].reshape(n_batches, batch_size)[
            start:, part(batch_size)
        ]
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in self.batches:
            yield [(self.epoch, int(row)) for row in batch]


def collate(samples: Sequence[Sample]) -> Batch:
    """Put samples into a batch: each frame is copied once, from its sample to where the batch is read."""
    clips = {count: _empty(len(samples), count, *samples[0].frames.shape[1:]) for count in samples[0].chosen}
    for count, clip_BTCHW in clips.items():
        for clip_TCHW, sample in zip(clip_BTCHW, samples, strict=True):
            torch.index_select(sample.frames, 0, sample.chosen[count], out=clip_TCHW)
    label = torch.tensor([sample.label for sample in samples])
    return Batch(clips, label, torch.tensor([sample.row for sample in samples]))


def _empty(*shape: int) -> Tensor:
    """uint8 memory; in a loader's process it is shared with the job, as torch's own collate does."""
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    storage = torch.UntypedStorage._new_shared(math.prod(shape))
    return torch.empty(0, dtype=torch.uint8).set_(storage, 0, shape)  # type: ignore[call-overload]


class ClipLoader(DataLoader):
    """A loader whose errors for a person are the same sentence from any process."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        try:
            yield from self._batches()
        except UserError as error:
            # A worker's error comes with its traceback as text before the message. Its traceback here holds
            # the workers, whose end the garbage collector would wait for: five seconds each.
            said = str(error).rpartition("UserError: ")[2].rstrip()
            raise UserError(said) from error.with_traceback(None)
        except (ConnectionError, EOFError) as error:
            # A worker that is killed is cut off a moment before torch can see that it is gone. What it raises
            # itself comes with a text of torch's.
            if not self.num_workers or str(error).startswith("Caught "):
                raise
            raise RuntimeError("a loader process exited unexpectedly") from error

    def _batches(self) -> Iterator[Batch]:
        """Start the workers; until one has left the process group, the signals to it wait."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            return super().__iter__()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def clip_loader(clips: Dataset, workers: int, **batching: Any) -> ClipLoader:
    """Make a loader of `clips` that leaves the global random generator alone, as an exact resume needs."""
    return ClipLoader(
        clips,
        num_workers=workers,
        collate_fn=collate,
        generator=torch.Generator(),
        worker_init_fn=_leave_group,
        pin_memory=torch.cuda.is_available(),
        **batching,
    )


def _leave_group(_worker: int) -> None:
    """A signal to the process group is for the job, which saves its state; it ends the workers itself."""
    os.setpgrp()
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # forgets one that came before the worker had left
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


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
            batch_size: clips of a batch, in all processes together.
            seed: of the order.
            workers: loader processes.
            max_batches: cut an epoch to so many (a test run).

        Raises:
            UserError: there are fewer clips than one batch, or fewer in a batch than processes.
        """
        self.clips, self.batch_size, self.seed, self.workers = clips, batch_size, seed, workers
        count = len(clips.store)
        if count < batch_size:
            raise UserError(f"batch_size {batch_size} is larger than the {count} training clips: lower it.")
        if batch_size < count_processes():
            raise UserError(
                f"batch_size {batch_size} is of all processes together, and these are {count_processes()}: "
                "raise it, or start fewer."
            )
        full = count // batch_size
        self.steps_per_epoch = full if max_batches is None else min(full, max_batches)

    def batches(self, epoch: int, start: int) -> Iterable[Batch]:
        """Load the batches of `epoch` from number `start` on."""
        order = EpochBatches(len(self.clips.store), self.batch_size, self.seed, epoch, start)
        loader = clip_loader(self.clips, self.workers, batch_sampler=order)
        return islice(loader, self.steps_per_epoch - start)


def evaluation_loader(
    store: Frames,
    counts: Sequence[int],
    settings: ClipSettings,
    batch_size: int,
    workers: int,
    max_batches: int | None = None,
) -> ClipLoader:
    """Load every clip of the store once, in order; of several processes each has batches of its own.

    What comes of them is put together by `in_order`.
    """
    starts = range(0, len(store), batch_size)[:max_batches]
    batches = [list(range(first, min(first + batch_size, len(store)))) for first in starts]
    own = batches[index() :: count_processes()]
    return clip_loader(EvaluationClips(store, counts, settings), workers, batch_sampler=own)


def check_clips(store: Clips, frames: int, settings: ClipSettings, sampling: str) -> None:
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


def check_labelled(store: Clips) -> None:
    """Refuse clips without a label, for methods that learn from labels alone.

    Raises:
        UserError: there are some.
    """
    if unlabelled := int((store.label_ids == UNLABELLED).sum()):
        raise UserError(
            f"{unlabelled} of {len(store)} training videos have no label, and this method learns from labels "
            "alone: set data.unlabelled: refuse and leave them out"
        )


def _sample(
    store: Frames, row: int, positions: dict[int, np.ndarray], view: View, size: int, label: int
) -> Sample:
    """Read the video once for all frame counts."""
    wanted = np.unique(np.concatenate(list(positions.values())))
    chosen = {count: torch.from_numpy(np.searchsorted(wanted, of)) for count, of in positions.items()}
    return Sample(apply_view(store.clip(row, wanted), view, size), chosen, label, row)


def _labels_after_flip(classes: Sequence[str], settings: ClipSettings) -> np.ndarray:
    mapping = np.arange(len(classes))
    if settings.flip != "swap":
        return mapping
    for left, right in settings.flip_labels.items():
        for name in (left, right):
            if name not in classes:
                raise UserError(f"flip_labels: no class is named {name!r}; known: {', '.join(classes)}")
        one, other = classes.index(left), classes.index(right)
        mapping[one], mapping[other] = other, one
    return mapping
