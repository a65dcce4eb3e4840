"""All token features of a join in order, a bounded part of them in memory, and what they are like.

Shapes in names: B clips, N tokens of a clip, M tokens of all of them, D features.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from vidkd.errors import UserError
from vidkd.features.batches import FeatureBatch, FeatureJoin

AT_ONCE = 64 * 2**20
"""Bytes of features that are read at once."""


def checked(join: FeatureJoin) -> Iterator[FeatureBatch]:
    """Yield all rows in order, as stored.

    Raises:
        UserError: names a video with a feature that is NaN or infinite.
    """
    row_bytes = sum(math.prod(store.shape) * store.dtype.itemsize for store in join.stores.values())
    for batch in join.in_order(max(1, AT_ONCE // max(row_bytes, 1))):
        check_finite(batch, join)
        yield batch


def check_finite(batch: FeatureBatch, join: FeatureJoin) -> None:
    """Refuse features of `join` that are NaN or infinite, by the name of their video.

    Raises:
        UserError: there are some.
    """
    for name, feature_BND in batch.features.items():
        if len(bad := (~feature_BND.isfinite().flatten(1).all(1)).nonzero()):
            video_id = join.video_ids[int(batch.row[bad[0]])]
            made = join.stores[name].meta.backbone
            raise UserError(
                f"features of video {video_id!r} are NaN or infinite ({made}): delete their shard and run "
                "snakemake features again"
            )


def token_statistics(join: FeatureJoin) -> dict[str, tuple[Tensor, Tensor]]:
    """Compute mean and standard deviation (D) over all tokens, in float64, by name of the backbone.

    Raises:
        UserError: names a video with a feature that is NaN or infinite.
    """
    names, count = list(join.stores), dict.fromkeys(join.stores, 0)
    total, squares = ({name: torch.zeros(1, dtype=torch.float64) for name in names} for _ in range(2))
    for batch in checked(join):
        for name, feature_BND in batch.features.items():
            token_MD = feature_BND.flatten(0, 1).double()
            count[name] += len(token_MD)
            total[name], squares[name] = (
                total[name] + token_MD.sum(0),
                squares[name] + token_MD.square().sum(0),
            )
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for name in names:
        mean_D = total[name] / count[name]
        found[name] = mean_D, (squares[name] / count[name] - mean_D.square()).clamp(min=0).sqrt()
    return found
