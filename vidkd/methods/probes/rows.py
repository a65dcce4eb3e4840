"""Open what a head is fitted on: one network's features of each split, with the label asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidkd.config.data import SPLITS
from vidkd.data.label_ids import read_labels
from vidkd.data.tables import UNLABELLED, read_classes
from vidkd.errors import UserError
from vidkd.features.batches import FeatureJoin
from vidkd.features.splits import open_splits
from vidkd.features.tokens import checked
from vidkd.methods.inputs import Inputs


@dataclass(frozen=True)
class ProbeRows:
    """Features and labels of the splits that a head is fitted with.

    Attributes:
        backbone: the network that made the features.
        classes: names in the order of the label ids.
        train: rows to fit on.
        val: rows that choose.
    """

    backbone: str
    classes: list[str]
    train: FeatureJoin
    val: FeatureJoin

    @property
    def width(self) -> int:
        """D of the features."""
        (store,) = self.train.stores.values()
        return store.shape[1]


def open_rows(inputs: Inputs) -> ProbeRows:
    """Open the features to fit a head on, and give each video its label.

    Raises:
        UserError: a split has no features, the splits were not made alike, a label is missing or unknown, or
            a class has no training video.
    """
    joins = _open(inputs, "train", "val")
    return ProbeRows(_network(inputs), read_classes(inputs.classes), **joins)


def open_test(inputs: Inputs) -> FeatureJoin:
    """Open the features to report on, which must be made as those of the other splits, of other videos.

    Raises:
        UserError: see `open_rows`.
    """
    return _open(inputs, *SPLITS)["test"]


def _open(inputs: Inputs, *splits: str) -> dict[str, FeatureJoin]:
    classes = read_classes(inputs.classes)
    stores = open_splits(inputs.features(_network(inputs), *splits))
    joins = {split: FeatureJoin({split: store}) for split, store in stores.items()}
    if inputs.needs.labels is not None:  # another label than the features have
        for join in joins.values():
            join.label_ids = read_labels(inputs.labels, join.video_ids, len(classes))
    check_labels(joins, classes, inputs.classes)
    return joins


def _network(inputs: Inputs) -> str:
    names = inputs.networks_with_features
    if len(names) != 1:
        raise UserError(
            f"a head is fitted on the features of one network, not of {len(names)}: give --feature-stores "
            "NETWORK.SPLIT=FOLDER of one"
        )
    return names[0]


def check_labels(joins: Mapping[str, FeatureJoin], classes: Sequence[str], source: Path) -> None:
    """Refuse classes that are not those of the videos.

    Args:
        joins: by split; `train` is among them.
        classes: names in the order of the label ids.
        source: where they come from, for the message.

    Raises:
        UserError: there is one class, a label is none of them, or a class has no training video.
    """
    if len(classes) < 2:
        raise UserError(f"{source} has {len(classes)} class: a head has nothing to tell apart")
    for split, join in joins.items():
        _check_known(join, classes, f"{split} video", source)
    _check_every_class(joins["train"], classes)


def tokens(join: FeatureJoin) -> Iterator[Tensor]:
    """Read features (B, N, D) of all rows in order, as stored.

    Raises:
        UserError: names a video with a feature that is NaN or infinite.
    """
    for batch in checked(join):
        (feature_BND,) = batch.features.values()
        yield feature_BND


def token_means(join: FeatureJoin) -> Tensor:
    """Take the mean token (N, D) of every row, in float64."""
    return torch.cat([feature_BND.double().mean(1) for feature_BND in tokens(join)])


def _check_known(join: FeatureJoin, classes: Sequence[str], what: str, source: Path) -> None:
    if unlabelled := int((join.label_ids == UNLABELLED).sum()):
        raise UserError(
            f"{unlabelled} videos have no label, such as a {what}: a head learns from labels alone; set "
            "data.unlabelled: refuse and leave them out, or ask Snakemake for results of students only"
        )
    if len(wrong := np.flatnonzero((join.label_ids < 0) | (join.label_ids >= len(classes)))):
        raise UserError(
            f"{what} {join.video_ids[wrong[0]]!r} has label {join.label_ids[wrong[0]]}, and {source} has "
            f"{len(classes)} classes: features and classes are of different listings; delete the older"
        )


def _check_every_class(train: FeatureJoin, classes: Sequence[str]) -> None:
    there = set(train.label_ids.tolist())
    if missing := [name for label, name in enumerate(classes) if label not in there]:
        raise UserError(
            f"none of the {len(train)} training videos is of class {', '.join(missing[:5])}"
            f"{' …' if len(missing) > 5 else ''}: a head cannot learn it. Add videos of it, or leave the "
            "class out."
        )
