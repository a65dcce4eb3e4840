"""The features of one network, by split: none without videos, all made alike, and no video in two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from vidkd.errors import UserError
from vidkd.features.store import FeatureStore


def open_splits(shards: Mapping[str, Sequence[Path]]) -> dict[str, FeatureStore]:
    """Open the stores of a network's splits.

    Args:
        shards: files by split; of several, `train` is the first.

    Raises:
        UserError: a store cannot be opened, a split has no features, the splits were not made alike, or a
            video is in two of them.
    """
    stores = {split: FeatureStore(files) for split, files in shards.items()}
    first, *_ = stores
    train = stores[first]
    for split, store in stores.items():
        folder = Path(shards[split][0]).parent
        if not len(store):
            raise UserError(
                f"{folder} has features of no video: there must be train videos to learn from, val videos to "
                "choose by and test videos to report"
            )
        if wrong := store.meta.differences(train.meta):
            raise UserError(
                f"{folder}: made with other {', '.join(wrong)} than {Path(shards[first][0]).parent}. "
                "Delete what is not as configured and run snakemake features again."
            )
        if store.shape != train.shape:
            raise UserError(
                f"{folder} has rows of {store.shape} (T', D), the training features {train.shape}: delete "
                "what is not as configured and run snakemake features again"
            )
    _check_apart(stores)
    return stores


def _check_apart(stores: Mapping[str, FeatureStore]) -> None:
    for (one, first), (other, second) in combinations(stores.items(), 2):
        if both := set(first.video_ids).intersection(second.video_ids):
            raise UserError(
                f"{len(both)} videos are in {one} and in {other}, {min(both)!r} among them: what is learnt "
                "or chosen on a video cannot be measured on it; give each split its own files"
            )
