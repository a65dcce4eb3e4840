"""What a network says of every clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from vidkd.data.clips import Batch
from vidkd.engine.processes import in_order

_Score = Callable[[Batch], Mapping[int, Tensor]]
"""From a batch to scores (B, K) by frame count."""


@torch.inference_mode()
def score_clips(score: _Score, batches: Iterable[Batch], device: torch.device) -> dict[int, Tensor]:
    """Compute scores (clips, K) of all batches by frame count, float32 and on the CPU."""
    found = in_order(
        [
            {count: score_BK.float().cpu() for count, score_BK in score(batch.to(device)).items()}
            for batch in batches
        ]
    )
    return {count: torch.cat([scores[count] for scores in found]) for count in (found[0] if found else ())}
