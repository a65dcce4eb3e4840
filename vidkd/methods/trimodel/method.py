"""A student in training, as the engine sees it: a batch in, named loss terms out; and parameter groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vidkd.data.clips import Batch
from vidkd.engine.processes import averaged, gathered, part
from vidkd.methods.trimodel import loss
from vidkd.methods.trimodel.frozen import Frozen, student_layers
from vidkd.methods.trimodel.model import Inside, Student
from vidkd.methods.trimodel.settings import TriModelSettings


class _Mixed(NamedTuple):
    """Clips, each mixed with another one of the batch.

    Attributes:
        pixels: uint8 (B, T, 3, H, W); of several processes, those of the own part of a batch.
        partner: (B) the other clip of each, in the whole batch.
        share: of the first clip; 1: nothing is mixed.
    """

    pixels: Tensor
    partner: Tensor
    share: float


class Distil(nn.Module):
    """The student with its projectors and its objective; the frozen networks are no part of it.

    Attributes:
        model: the student.
        projectors: for each source a linear map from the student's width to its own for each compared layer:
            made here, and so among the trained parameters.
    """

    def __init__(
        self,
        model: Student,
        frozen: Mapping[str, Frozen],
        settings: TriModelSettings,
        shares: Tensor | None = None,
    ) -> None:
        """Put together.

        Args:
            model: the student.
            frozen: the networks that teach, by source: TEACHER, ASSISTANT or both.
            settings: of the student.
            shares: (N, K) of training clips that carry several classes: see `loss.classification`.
        """
        super().__init__()
        self.shares = shares
        self.model, self.frozen, self.settings = model, dict(frozen), settings
        config = model.network.config
        self.layers = student_layers(settings.hidden_layers_to_align, config.num_hidden_layers)
        projected = self.frozen if settings.feature_distillation_weight else {}
        self.projectors = nn.ModuleDict(
            {
                name: nn.ModuleList(
                    projector(config.hidden_size, other.backbone.spec.width) for _ in self.layers
                )
                for name, other in projected.items()
            }
        )

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Loss terms of a training batch, weighted, to be added up."""
        (clip_BTCHW,) = batch.clips.values()
        mixed = mix(clip_BTCHW, self.settings.mixup, generator, self.settings.batch_size)
        maps = bool(self.frozen and self.settings.attention_distillation_weight)
        seen = self.model.look_inside(mixed.pixels, self.layers, attention=maps)
        taught = {name: network(mixed.pixels) for name, network in self.frozen.items()}
        total = self.settings.batch_size
        distilled = {name: averaged(term, total) for name, term in self._distillation(seen, taught).items()}
        return self._task(gathered(seen.logits, total), batch, mixed) | distilled

    def _projectors(self) -> list[tuple[str, list[nn.Module]]]:
        return [(name, list(found.children())) for name, found in self.projectors.items()]

    def _task(self, logit_BK: Tensor, batch: Batch, mixed: _Mixed) -> dict[str, Tensor]:
        """The term of the labels; none where no clip has one."""
        total = self.settings.batch_size
        label_B, share_BK = gathered(batch.label, total), None
        if self.shares is not None:
            share_BK = gathered(self.shares[batch.row].to(logit_BK.device), total)
        own = mixed.share, label_B, share_BK
        partner = mixed.partner
        other = 1 - mixed.share, label_B[partner], None if share_BK is None else share_BK[partner]
        parts = [
            share * term
            for share, labels, shares in (own, other)
            if share and (term := loss.classification(logit_BK, labels, shares)) is not None
        ]
        weight = self.settings.classification_weight
        return {"task_loss": weight * torch.stack(parts).sum()} if weight and parts else {}

    def _distillation(self, seen: Inside, taught: Mapping[str, Inside]) -> dict[str, Tensor]:
        """The terms of teacher and assistant; one of weight 0 is left out."""
        settings, terms = self.settings, dict[str, Tensor]()
        projected = {
            name: [project(token) for project, token in zip(projectors, seen.hidden, strict=True)]
            for name, projectors in self._projectors()
        }
        for name, weight in settings.sources.items():
            if beta := settings.feature_distillation_weight:
                distance = loss.hidden_distance(projected[name], taught[name].hidden, settings.feature)
                terms[f"{name}_feature_loss"] = beta * weight * distance
            if gamma := settings.attention_distillation_weight:
                distance = loss.attention_distance(seen.attention, taught[name].attention, settings.attention)
                terms[f"{name}_attention_loss"] = gamma * weight * distance
        if taught and settings.asymmetric_weight:
            term = loss.asymmetric(seen.logits, taught, projected, settings)
            terms["asymmetric_loss"] = settings.asymmetric_weight * term
        return terms


def projector(width: int, other: int) -> nn.Linear:
    """A linear map from one width to another; of the same width it starts as the identity.

    A student that starts as its teacher would first unlearn what a random map makes of it.
    """
    made = nn.Linear(width, other)
    if width == other:
        nn.init.eye_(made.weight)
        nn.init.zeros_(made.bias)
    return made


def terms_of(settings: TriModelSettings) -> list[str]:
    """Names of the terms of weights above 0."""
    found = ["task_loss"] if settings.classification_weight else []
    for name in settings.sources:
        found += [f"{name}_feature_loss"] if settings.feature_distillation_weight else []
        found += [f"{name}_attention_loss"] if settings.attention_distillation_weight else []
    return found + (["asymmetric_loss"] if settings.sources and settings.asymmetric_weight else [])


def mix(own_BTCHW: Tensor, alpha: float, generator: torch.Generator, total: int) -> _Mixed:
    """Mixup (Zhang et al. 2018): one share of Beta(alpha, alpha) for the batch, one partner for each clip.

    Args:
        own_BTCHW: clips of this process.
        alpha: 0: nothing is mixed.
        generator: in the same state in each process.
        total: clips of the whole batch.
    """
    if not alpha:
        return _Mixed(own_BTCHW, torch.arange(len(own_BTCHW), device=own_BTCHW.device), 1.0)
    pixels_BTCHW = gathered(own_BTCHW, total)
    count = len(pixels_BTCHW)
    seed = int(torch.randint(2**31, (), generator=generator))
    share = float(np.random.default_rng(seed).beta(alpha, alpha))
    partner = torch.randperm(count, generator=generator).to(pixels_BTCHW.device)
    mixed = torch.lerp(pixels_BTCHW[partner].float(), pixels_BTCHW.float(), share)
    return _Mixed(mixed.round().byte()[part(total)], partner, share)


def layer_groups(method: Distil, settings: TriModelSettings) -> list[dict[str, Any]]:
    """One group for each learning rate and decay (Bao et al., "BEiT", 2022; VideoMAE fine-tuning).

    The classifier, the norm before it and the projectors have the whole rate, the last layer `layer_decay` of
    it, and so on down to the patches.
    """
    depth = method.model.network.config.num_hidden_layers
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in method.named_parameters():
        below = depth - _layer(name, depth)
        groups.setdefault((below, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": settings.lr * settings.layer_decay**below,
            "weight_decay": settings.weight_decay * decayed,
        }
        for (below, decayed), parameters in groups.items()
    ]


def _layer(name: str, depth: int) -> int:
    """Where a parameter lies: -1 in the patches, 0 to depth - 1 in a layer, depth above all layers."""
    if match := re.search(r"encoder\.layer\.(\d+)\.", name):
        return int(match[1])
    return -1 if ".embeddings." in name else depth
