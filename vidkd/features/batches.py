"""Batches of cached features: several backbones joined by video id, gathered by one thread ahead of the step.

No worker processes: gathering a batch costs less than handing it from one process to another. Each batch is
new memory and stays as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidkd.errors import UserError
from vidkd.features.meta import FeatureMeta
from vidkd.features.store import Rows, some_videos

AHEAD = 2
"""Batches that are gathered while a step runs."""

CPU = torch.device("cpu")


class FeatureSource(Protocol):
    """What a join needs of the features of one backbone: cached (`FeatureStore`), or made when asked for."""

    @property
    def meta(self) -> FeatureMeta:
        """How the features are made."""

    @property
    def video_ids(self) -> list[str]:
        """The video of each row."""

    @property
    def label_ids(self) -> NDArray[np.int32]:
        """(N) the label of each row."""

    @property
    def shards(self) -> NDArray[np.int64]:
        """(N) number of the file that each row is in."""

    @property
    def shape(self) -> tuple[int, int]:
        """(T', D) of a row."""

    @property
    def dtype(self) -> torch.dtype:
        """The type of the features."""

    def rows(self, rows: Rows) -> Tensor:
        """Return features (len(rows), T', D) of `rows`, on the CPU and in new memory."""

    def rows_of(self, video_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the row of each video; a UserError lists those that are not there."""

    def verify(self) -> None:
        """Compare all checksums of what is read; a UserError names the files that have changed."""


@dataclass
class FeatureBatch:
    """Features (B, T', D) by name of the backbone, labels (B,) and rows in the join (B,)."""

    features: dict[str, Tensor]
    label: Tensor
    row: Tensor

    def to(self, device: torch.device) -> FeatureBatch:
        """Copy the batch to `device`; rows stay on the CPU."""
        features = {name: rows.to(device, non_blocking=True) for name, rows in self.features.items()}
        return FeatureBatch(features, self.label.to(device, non_blocking=True), self.row)

    def pin_memory(self) -> FeatureBatch:
        """Copy the batch to memory that a GPU can copy from while the program goes on."""
        features = {name: rows.pin_memory() for name, rows in self.features.items()}
        return FeatureBatch(features, self.label.pin_memory(), self.row)


class FeatureJoin:
    """The same videos as several backbones see them, sorted by video id whatever the order of the files.

    Attributes:
        video_ids: of each row.
        label_ids: (N) int32.
        shards: (N) number of the file of the first backbone that each row is in.
    """

    def __init__(self, stores: Mapping[str, FeatureSource], allow_missing: bool = False) -> None:
        """Join stores.

        Args:
            stores: by the name that a batch has them under.
            allow_missing: leave videos out that one of them has not.

        Raises:
            UserError: videos are missing from a store, they have no video in common, or labels disagree.
        """
        self.stores = dict(stores)
        self._verified = False
        found = {name: set(store.video_ids) for name, store in self.stores.items()}
        common, every = set.intersection(*found.values()), set.union(*found.values())
        if len(common) < len(every) and not allow_missing:
            lacking = {name: sorted(every - ids) for name, ids in found.items() if every - ids}
            lines = [f"{name} has no features of {some_videos(ids)}" for name, ids in lacking.items()]
            raise UserError(f"{'; '.join(lines)}. Run snakemake features: only what is missing is made.")
        if every and not common:
            raise UserError(f"{', '.join(self.stores)} have no video in common: are they of one split?")
        self.video_ids = sorted(common)
        self._rows = {name: store.rows_of(self.video_ids) for name, store in self.stores.items()}
        first, *_ = self.stores
        self.shards = self.stores[first].shards[self._rows[first]]
        labels = {name: store.label_ids[self._rows[name]] for name, store in self.stores.items()}
        self.label_ids, *_ = labels.values()
        for name, of in labels.items():
            if len(wrong := np.flatnonzero(of != self.label_ids)):
                raise UserError(
                    f"video {self.video_ids[wrong[0]]!r} has label {self.label_ids[wrong[0]]} in {first} and "
                    f"{of[wrong[0]]} in {name}: delete the older cache and run snakemake features again"
                )

    def __len__(self) -> int:
        return len(self.video_ids)

    def batch(self, rows: NDArray[np.int64]) -> FeatureBatch:
        """Gather the videos of `rows`."""
        features = {name: store.rows(self._rows[name][rows]) for name, store in self.stores.items()}
        label = torch.from_numpy(self.label_ids[rows].astype(np.int64))
        return FeatureBatch(features, label, torch.from_numpy(rows))

    def in_order(self, batch_size: int) -> Iterator[FeatureBatch]:
        """Gather every video once, in order; the last batch may have fewer."""
        rows = np.arange(len(self))
        return self.gathered(rows[start : start + batch_size] for start in range(0, len(self), batch_size))

    def gathered(
        self, plan: Iterable[NDArray[np.int64]], device: torch.device = CPU
    ) -> Iterator[FeatureBatch]:
        """Gather the batches of `plan` in one thread, AHEAD of them while the caller works.

        All checksums are compared before the first time: 0.3 s a GB, once for many epochs.

        Args:
            plan: rows of each batch.
            device: where the batches are used. For a GPU they are in pinned memory; otherwise no GPU is
                touched, because pinning takes one whether or not the job was given any.

        Raises:
            UserError: names the files and the videos whose bytes have changed.
        """
        if not self._verified:
            for store in self.stores.values():
                store.verify()
            self._verified = True

        def gather(rows: NDArray[np.int64]) -> FeatureBatch:
            batch = self.batch(rows)
            return batch.pin_memory() if device.type == "cuda" else batch

        waiting = iter(plan)
        # Asking gives a new thread the number of threads that was set; small products of matrices never ask.
        with ThreadPoolExecutor(1, "features", initializer=torch.get_num_threads) as thread:
            ahead = deque(thread.submit(gather, rows) for rows in islice(waiting, AHEAD))
            while ahead:
                batch = ahead.popleft().result()
                ahead.extend(thread.submit(gather, rows) for rows in islice(waiting, 1))
                yield batch


Order = Callable[[FeatureJoin, np.random.Generator], NDArray[np.int64]]
"""The rows of an epoch in the order in which they are seen."""


def shuffled(join: FeatureJoin, random: np.random.Generator) -> NDArray[np.int64]:
    """Put the rows into any order."""
    return random.permutation(len(join))


def shuffled_by_shard(join: FeatureJoin, random: np.random.Generator) -> NDArray[np.int64]:
    """Shard after shard, both the shards and the rows of each in any order.

    For a cache that does not fit into memory: one shard does, and is read from the disk once an epoch, where
    any order would read a stretch of the disk for each row (measured: 90 times the bytes, a sixtieth of the
    speed). One that fits is as fast in any order, which does not depend on how the cache is cut into files,
    as this does; the shards are those of the first backbone.
    """
    rows = random.permutation(len(join))
    turn = random.permutation(int(join.shards.max(initial=0)) + 1)
    return rows[np.argsort(turn[join.shards[rows]], kind="stable")]


class FeatureBatches:
    """The training batches of every epoch, as the training loop asks for them."""

    def __init__(
        self,
        join: FeatureJoin,
        batch_size: int,
        seed: int,
        order: Order = shuffled,
        device: torch.device = CPU,
    ) -> None:
        """Plan the batches; a last one that is not full is left out.

        Args:
            join: what they are made of.
            batch_size: videos of a batch.
            seed: of the order.
            order: shuffled, or shuffled_by_shard for a cache larger than memory.
            device: of the training; see FeatureJoin.gathered.

        Raises:
            UserError: there are fewer videos than one batch.
        """
        self.join, self.batch_size, self.seed, self.order = join, batch_size, seed, order
        self.device = device
        if len(join) < batch_size:
            raise UserError(
                f"batch_size {batch_size} is larger than the {len(join)} cached videos: lower batch_size"
            )
        self.steps_per_epoch = len(join) // batch_size

    def batches(self, epoch: int, start: int) -> Iterator[FeatureBatch]:
        """Gather the batches of `epoch` from number `start` on: the same ones whenever they are asked for."""
        order = self.order(self.join, np.random.default_rng([self.seed, epoch]))
        starts = range(start * self.batch_size, self.steps_per_epoch * self.batch_size, self.batch_size)
        return self.join.gathered((order[i : i + self.batch_size] for i in starts), self.device)
