"""What a network says of every clip."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from vidkd.data.clips import Batch

Score = Callable[[Batch], Mapping[int, Tensor]]
"""From a batch to scores (B, K) by frame count."""


@torch.inference_mode()
def score_clips(score: Score, batches: Iterable[Batch], device: torch.device) -> dict[int, Tensor]:
    """Scores (clips, K) of all batches by frame count, float32 and on the CPU."""
    found: defaultdict[int, list[Tensor]] = defaultdict(list)
    for batch in batches:
        for count, score_BK in score(batch.to(device)).items():
            found[count].append(score_BK.float().cpu())
    return {count: torch.cat(parts) for count, parts in found.items()}
