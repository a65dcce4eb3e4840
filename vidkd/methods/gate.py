"""The gate of a frozen teacher: a linear head on its cached features, measured before it teaches.

Shapes in names: N videos, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidkd.data.label_ids import read_labels
from vidkd.data.tables import UNLABELLED
from vidkd.errors import UserError
from vidkd.features.batches import FeatureJoin
from vidkd.methods.probes.linear import Chosen, chosen
from vidkd.methods.probes.settings import LinearSettings


def gate(top1: float, largest: float, margin: float) -> dict[str, Any]:
    """Whether validation top-1 is above the share of the largest class by the margin, all in percent."""
    reason = (
        f"its validation top-1 is {top1:.1f}%, and saying the largest class of every video has "
        f"{largest:.1f}%: less than {margin:g} points above"
    )
    passed = top1 - largest >= margin and top1 > largest
    return {"passed": passed, "reason": "" if passed else reason, "margin": margin}


def largest_class(label_N: NDArray[np.int32]) -> float:
    """Share in percent of the most frequent class."""
    return float(100 * np.bincount(label_N).max() / len(label_N))


def split_labels(
    labels_csv: Path, n_classes: int, joins: Mapping[str, FeatureJoin], *, marked_only: bool
) -> dict[str, NDArray[np.int32]]:
    """The label ids of the videos of each split, in their order; training videos may be UNLABELLED.

    Args:
        labels_csv: label of each video.
        n_classes: K.
        joins: the videos by split.
        marked_only: training videos that are not marked as labelled count as unlabelled.

    Raises:
        UserError: a validation or test video has no label, or see read_labels.
    """
    found: dict[str, NDArray[np.int32]] = {}
    for split, join in joins.items():
        only = marked_only and split == "train"
        found[split] = read_labels(labels_csv, join.video_ids, n_classes, marked_only=only)
        if split != "train" and (found[split] == UNLABELLED).any():
            raise UserError(
                f"{labels_csv}: a {split} video has no label; only training videos may be without"
            )
    return found


def fit_linear(
    settings: LinearSettings,
    feature_ND: Mapping[str, Tensor],
    labels: Mapping[str, NDArray[np.int32]],
    classes: Sequence[str],
) -> Chosen:
    """The linear head of the labelled training videos, of the penalty that validation prefers.

    Raises:
        UserError: a class has no labelled training video.
    """
    known_N = labels["train"] != UNLABELLED
    there = set(labels["train"][known_N].tolist())
    if missing := [name for number, name in enumerate(classes) if number not in there]:
        raise UserError(
            f"no labelled training video is of class {', '.join(missing[:5])}: the probe cannot learn it. "
            "Mark more videos as labelled (demo.low_label, data.labelled), or set labels: all"
        )
    fitted_on = feature_ND["train"][torch.from_numpy(known_N)]
    return chosen(fitted_on, labels["train"][known_N], feature_ND["val"], labels["val"], settings)
