"""What a teacher makes of clips: a module of its own, so that a student's loss makes no teacher anew."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Taught(NamedTuple):
    """What the teacher makes of clips: logits (B, K), features (B, D), frame_features (B, T, D)."""

    logits: Tensor
    features: Tensor
    frame_features: Tensor
