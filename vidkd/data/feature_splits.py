"""The features of one network, by split: none without videos, and all made alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vidkd.data.features import FeatureStore
from vidkd.errors import UserError


def open_splits(shards: Mapping[str, Sequence[Path]]) -> dict[str, FeatureStore]:
    """Open the stores of a network's splits.

    Args:
        shards: files by split; `train` is among them.

    Raises:
        UserError: a store cannot be opened, a split has no features, or the splits were not made alike.
    """
    stores = {split: FeatureStore(files) for split, files in shards.items()}
    train = stores["train"]
    for split, store in stores.items():
        folder = Path(shards[split][0]).parent
        if not len(store):
            raise UserError(
                f"{folder} has features of no video: there must be train videos to learn from, val videos to "
                "choose by and test videos to report"
            )
        if wrong := store.meta.differences(train.meta):
            raise UserError(
                f"{folder}: made with other {', '.join(wrong)} than {Path(shards['train'][0]).parent}. "
                "Delete what is not as configured and run snakemake features again."
            )
        if store.shape != train.shape:
            raise UserError(
                f"{folder} has rows of {store.shape} (T', D), the training features {train.shape}: delete "
                "what is not as configured and run snakemake features again"
            )
    return stores
