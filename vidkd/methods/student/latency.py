"""Networks whose cost is measured: each student and the teacher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from torch import nn

from vidkd.backbones.clip import CLIP
from vidkd.backbones.registry import load_backbone
from vidkd.engine.efficiency import count_parameters
from vidkd.evaluate.cost import Part, clip_part
from vidkd.methods.base import Network
from vidkd.methods.inputs import Inputs
from vidkd.methods.student.predict import load_student
from vidkd.methods.student.settings import TEACHER
from vidkd.methods.teacher_model import check_network, load_head


def parts(inputs: Inputs, settings: Mapping[str, Any]) -> list[Part]:
    """List what is measured: a clip of its own size through each student, and through the teacher.

    Raises:
        UserError: a network cannot be loaded, or the teacher is not the one of its head.
    """
    found = [_student(name, weights) for name, (weights,) in inputs.runs.items()]
    return [*found, *(_teacher(network) for network in inputs.needs.networks.values())]


def _student(name: str, weights: Path) -> Part:
    model, settings, _ = load_student(weights)
    return clip_part(name, [model], settings.frames, settings.size, [weights])


def _teacher(given: Network) -> Part:
    """Measure the image tower and the head, class names among its parameters; `size_mb` is of all weights."""
    network, weights = cast(CLIP, load_backbone(given.settings)), Path(str(given.head))
    check_network(weights, network)
    head = load_head(weights)
    # From uint8 clips (B, T, 3, size, size) to logits.
    whole = nn.Sequential(network, nn.Flatten(1, 2), head)
    params = count_parameters(network.network.visual) + count_parameters(head) + head.text.numel()
    files = (*network.origin.files, weights)
    return replace(clip_part(TEACHER, [whole], network.spec.frames, network.spec.size, files), params=params)
