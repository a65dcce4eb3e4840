"""The fusion head: a classifier over the features of several networks of the same clip.

Shapes in names: B clips, N tokens of a clip in the first input, M tokens of another, D features of an input,
d width of the head, K classes.

No layer has statistics over the batch: what is said of a clip does not depend on the clips beside it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vidkd.methods.converters.model import resize
from vidkd.methods.fusion.settings import FusionSettings
from vidkd.methods.probes.model import Standardise

_HIDDEN = 2
"""Width of an MLP, as a multiple of the head's."""

_PLACE_STD = 0.5
"""Deviation of the places of tokens before training, beside tokens of deviation 1."""


class FusionHead(nn.Module):
    """Inputs on one width and one number of tokens, joined, then a residual MLP, pooling and a classifier.

    With one input there is nothing to join and the rest is the same: the fair baseline. The tokens know their
    place before the MLP, because pooling alone would not see their order.

    Attributes:
        shapes: (M, D) of each input by name; the first is the trunk, whose N tokens the others get too.
    """

    def __init__(
        self, shapes: Mapping[str, tuple[int, int]], n_classes: int, settings: FusionSettings
    ) -> None:
        super().__init__()
        self.shapes, width = dict(shapes), settings.width
        (steps, _), *_ = self.shapes.values()
        self.inputs = nn.ModuleDict({name: _Input(of, steps, width) for name, of in self.shapes.items()})
        _, *others = self.shapes
        self.join: nn.Module = JOINS[settings.fusion](others, width)
        self.place_Nd = nn.Parameter(nn.init.trunc_normal_(torch.empty(steps, width), std=_PLACE_STD))
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, _HIDDEN * width), nn.GELU(), nn.Linear(_HIDDEN * width, width)
        )
        self.pool: nn.Module = POOLS[settings.pooling](width)
        self.pooled_norm, self.dropout = nn.LayerNorm(width), nn.Dropout(settings.dropout)
        self.classifier = nn.Linear(width, n_classes)

    def standardise(self, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Take mean and deviation (D) of each input over the training tokens."""
        for name, of in self.inputs.items():
            assert isinstance(of, _Input)
            of.standardise.set(*statistics[name])

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Logits (B, K) of features (B, M, D) by name; those that are no input are not looked at."""
        fused_BNd, _ = self.fused(features)
        return self.classify(fused_BNd)

    def fused(self, features: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Join tokens (B, N, d); gives them, and the gate (B, N, 1) of each input but the first if gated."""
        token_BNd, *others = (of(features[name]) for name, of in self.inputs.items())
        joined: tuple[Tensor, dict[str, Tensor]] = self.join(token_BNd, others)
        return joined

    def classify(self, fused_BNd: Tensor) -> Tensor:
        """Return logits (B, K) of joined tokens."""
        token_BNd = fused_BNd + self.place_Nd
        token_BNd = token_BNd + self.mlp(self.norm(token_BNd))
        logit_BK: Tensor = self.classifier(self.dropout(self.pooled_norm(self.pool(token_BNd))))
        return logit_BK


class _Input(nn.Module):
    """The features of one network on the head's width, with as many tokens as the trunk has."""

    def __init__(self, shape: tuple[int, int], steps: int, width: int) -> None:
        super().__init__()
        self.standardise = Standardise(shape[1])
        self.project, self.norm = nn.Linear(shape[1], width), nn.LayerNorm(width)
        self.resize = resize(shape[0], steps)

    def forward(self, feature_BMD: Tensor) -> Tensor:
        """Tokens (B, N, d)."""
        token_BNd: Tensor = self.resize(self.norm(self.project(self.standardise(feature_BMD))))
        return token_BNd


class Gated(nn.Module):
    """Each input is added to the trunk as far as a gate lets it, token by token, by what both say.

    One gate a token: a gate for each feature was no better on the demo (real teachers, three seeds: 77.5
    against 77.1 on test), and its mean stayed at a half whatever the teacher was worth.
    """

    def __init__(self, names: list[str], width: int) -> None:
        super().__init__()
        self.gates = nn.ModuleDict({name: nn.Linear(2 * width, 1) for name in names})

    def forward(self, trunk_BNd: Tensor, others: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Joined tokens (B, N, d), and the gates (B, N, 1), 0 to 1, by name."""
        gates: dict[str, Tensor] = {}
        fused_BNd = trunk_BNd
        for (name, gate), token_BNd in zip(self.gates.items(), others, strict=True):
            gates[name] = gate(torch.cat([trunk_BNd, token_BNd], 2)).sigmoid()
            fused_BNd = fused_BNd + gates[name] * token_BNd
        return fused_BNd, gates


class Concat(nn.Module):
    """All inputs side by side through an MLP."""

    def __init__(self, names: list[str], width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear((1 + len(names)) * width, _HIDDEN * width), nn.GELU(), nn.Linear(_HIDDEN * width, width)
        )

    def forward(self, trunk_BNd: Tensor, others: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Joined tokens (B, N, d); there are no gates."""
        return self.mlp(torch.cat([trunk_BNd, *others], 2)), {}


class AttentionPool(nn.Module):
    """A learnt query attends to the tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, 1, bias=False)  # a softmax does not see what is the same for all tokens

    def forward(self, token_BNd: Tensor) -> Tensor:
        """(B, d)."""
        return (self.query(token_BNd).softmax(1) * token_BNd).sum(1)


class MeanPool(nn.Module):
    """The mean token."""

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, token_BNd: Tensor) -> Tensor:
        """(B, d)."""
        return token_BNd.mean(1)


JOINS = {"gated": Gated, "concat": Concat}
POOLS = {"attention": AttentionPool, "mean": MeanPool}
