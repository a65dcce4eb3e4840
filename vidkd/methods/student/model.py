"""The student: an image encoder of timm on every frame, pooled over time, and a classifier (seed 000).

Shapes in names: B clips, T frames, C channels, H height, W width, E features of the encoder, D of the
projection, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vidkd.errors import UserError
from vidkd.methods.student.encoder import Encoder
from vidkd.methods.student.settings import StudentSettings


class StudentOutput(NamedTuple):
    """What a student makes of clips.

    Attributes:
        logits: (B, K).
        features: (B, D) of the clip.
        frame_features: (B, T, D), projected, before pooling.
        attention: (B, T) weight of each frame; it sums to 1.
    """

    logits: Tensor
    features: Tensor
    frame_features: Tensor
    attention: Tensor


class _AttentionPooling(nn.Module):
    """Seed 000: a score for each frame by itself, softmax over the frames, weighted sum."""

    def __init__(self, width: int, settings: StudentSettings) -> None:
        super().__init__()
        hidden = max(1, width // 4)
        self.score = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))

    def forward(self, frame_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Clip features (B, D) and weights (B, T)."""
        weight_BT = self.score(frame_BTD).squeeze(-1).softmax(dim=1)
        return (frame_BTD * weight_BT.unsqueeze(-1)).sum(dim=1), weight_BT


class ClsPooling(nn.Module):
    """A learnt query attends to the frames with several heads; the weights are the mean over heads."""

    def __init__(self, width: int, settings: StudentSettings) -> None:
        super().__init__()
        if width % settings.heads:
            raise UserError(
                f"heads {settings.heads} do not divide a width of {width}: set student heads to 1"
            )
        self.heads = settings.heads
        self.query = nn.Parameter(nn.init.trunc_normal_(torch.empty(width), std=0.02))
        self.norm = nn.LayerNorm(width)
        # Softmax does not see what all keys have in common.
        self.to_key = nn.Linear(width, width, bias=False)
        self.to_query, self.to_value = nn.Linear(width, width), nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, frame_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Clip features (B, D) and weights (B, T)."""
        normed_BTD = self.norm(frame_BTD)
        query_Hd = self.to_query(self.query).unflatten(0, (self.heads, -1))
        key_BTHd = self.to_key(normed_BTD).unflatten(2, (self.heads, -1))
        value_BTHd = self.to_value(normed_BTD).unflatten(2, (self.heads, -1))
        score_BTH = (key_BTHd * query_Hd).sum(-1) / math.sqrt(query_Hd.shape[1])
        weight_BTH = score_BTH.softmax(dim=1)
        attended_BD = (value_BTHd * weight_BTH.unsqueeze(-1)).sum(dim=1).flatten(1)
        return self.query + self.out(attended_BD), weight_BTH.mean(dim=2)


class _MeanPooling(nn.Module):
    """All frames alike."""

    def __init__(self, width: int, settings: StudentSettings) -> None:
        super().__init__()

    def forward(self, frame_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Clip features (B, D) and weights (B, T)."""
        weight_BT = torch.full_like(frame_BTD[..., 0], 1 / frame_BTD.shape[1])
        return frame_BTD.mean(dim=1), weight_BT


POOLS: dict[str, Callable[[int, StudentSettings], nn.Module]] = {
    "attention": _AttentionPooling,
    "cls": ClsPooling,
    "mean": _MeanPooling,
}


class Student(nn.Module):
    """Encoder, projection to the teacher's width, temporal pooling, classifier.

    Attributes:
        width: of its features.
    """

    def __init__(self, encoder: Encoder, n_classes: int, settings: StudentSettings) -> None:
        """Build it.

        Args:
            encoder: the image encoder; trained with all else.
            n_classes: K.
            settings: of the student.

        Raises:
            UserError: heads do not divide the width.
        """
        super().__init__()
        self.encoder = encoder
        self.width = width = settings.width if settings.projection else encoder.width
        self.projection = nn.Linear(encoder.width, width) if settings.projection else nn.Identity()
        self.position = None
        if settings.positions:
            self.position = nn.Parameter(nn.init.trunc_normal_(torch.empty(settings.frames, width), std=0.02))
        self.pooling = POOLS[settings.pooling](width, settings)
        self.dropout = nn.Dropout(settings.dropout)
        self.classifier = nn.Linear(width, n_classes)

    def forward(self, pixels_BTCHW: Tensor) -> StudentOutput:
        """What it makes of uint8 clips (B, T, 3, H, W)."""
        frame_BTE = self.encoder(pixels_BTCHW.flatten(0, 1)).unflatten(0, pixels_BTCHW.shape[:2])
        frame_BTD = self.projection(frame_BTE)
        placed_BTD = frame_BTD if self.position is None else frame_BTD + self.position
        clip_BD, weight_BT = self.pooling(placed_BTD)
        return StudentOutput(self.classifier(self.dropout(clip_BD)), clip_BD, frame_BTD, weight_BT)
