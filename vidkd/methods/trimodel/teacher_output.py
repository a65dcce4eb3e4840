"""What a frozen network makes of clips: a module of its own, so that a loss makes no network anew."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class TeacherOutput(NamedTuple):
    """Of the teacher or the assistant.

    Attributes:
        logits: (B, K) of its linear head.
        hidden: of each layer that is compared, tokens (B, N, D).
        attention: of each, the mean over heads of its maps (B, N, N); empty where none are compared.
    """

    logits: Tensor
    hidden: list[Tensor]
    attention: list[Tensor]
