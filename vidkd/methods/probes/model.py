"""Heads on the features of a frozen network.

Shapes in names: B clips, N tokens of a clip (all its time steps), D features, K classes, H attention heads.

Both see the tokens of a clip as a set: neither knows their order. What they say of a frame-wise network's
features is therefore the same when the video runs backwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:  # converters use layers of this file, and do not run again because of these settings
    from vidkd.methods.probes.settings import AttentiveSettings, HeadSettings


class Standardise(nn.Module):
    """Features to mean 0 and deviation 1, by what the training features have; buffers, not parameters."""

    mean: Tensor
    std: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))

    def set(self, mean_D: Tensor, std_D: Tensor) -> None:
        """Take statistics; a feature that never changes keeps its scale."""
        constant = std_D <= 1e-6 * mean_D.abs()
        self.mean.copy_(mean_D)
        self.std.copy_(torch.where(constant, torch.ones_like(std_D), std_D))

    def forward(self, feature_D: Tensor) -> Tensor:
        """Features (…, D) of any float type, in float32."""
        return (feature_D.float() - self.mean) / self.std


class LinearProbe(nn.Module):
    """A linear classifier of the mean token."""

    def __init__(self, width: int, n_classes: int) -> None:
        super().__init__()
        self.standardise = Standardise(width)
        self.classifier = nn.Linear(width, n_classes)

    def forward(self, feature_BND: Tensor) -> Tensor:
        """Logits (B, K)."""
        return self.classifier(self.standardise(feature_BND.float().mean(1)))


class AttentiveProbe(nn.Module):
    """The attentive probe of V-JEPA: a learnt query attends to the tokens, then an MLP and a classifier.

    Bardes et al., "Revisiting Feature Prediction for Learning Visual Representations from Video", 2024.
    Without a position embedding: what the network does not say of time and place, this cannot know.
    """

    def __init__(self, width: int, n_classes: int, settings: AttentiveSettings) -> None:
        super().__init__()
        inner = settings.attention_heads * settings.head_width
        self.heads = settings.attention_heads
        self.standardise = Standardise(width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query = nn.Parameter(nn.init.trunc_normal_(torch.empty(width), std=0.02))
        self.to_query, self.to_key_value = nn.Linear(width, inner), nn.Linear(width, 2 * inner)
        self.from_heads = nn.Linear(inner, width)
        hidden = round(settings.mlp_ratio * width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.dropout = nn.Dropout(settings.dropout)
        self.classifier = nn.Linear(width, n_classes)

    def forward(self, feature_BND: Tensor) -> Tensor:
        """Logits (B, K)."""
        query_BD = self.query.expand(len(feature_BND), -1)
        pooled_BD = query_BD + self._attend(query_BD, self.norm1(self.standardise(feature_BND)))
        pooled_BD = pooled_BD + self.mlp(self.norm2(pooled_BD))
        return self.classifier(self.dropout(pooled_BD))

    def _attend(self, query_BD: Tensor, token_BND: Tensor) -> Tensor:
        query_BH1d = self.to_query(query_BD).unflatten(1, (self.heads, 1, -1))
        key, value = self.to_key_value(token_BND).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended_BH1d = F.scaled_dot_product_attention(query_BH1d, key, value)
        return self.from_heads(attended_BH1d.flatten(1))


def build_model(
    head: str, width: int, n_classes: int, settings: HeadSettings
) -> LinearProbe | AttentiveProbe:
    """Build the head of this name, untrained, on features of `width`.

    Raises:
        ValueError: there is none.
    """
    if head == "linear":
        return LinearProbe(width, n_classes)
    if head == "attentive":
        return AttentiveProbe(width, n_classes, settings.attentive)
    raise ValueError(f"head {head!r} is not known")
