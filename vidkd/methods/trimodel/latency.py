"""What a clip costs each student, the teacher and the assistant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import nn

from vidkd.backbones.registry import load_backbone
from vidkd.backbones.videomae import VideoMAE
from vidkd.evaluate.cost import Part, clip_part
from vidkd.methods.base import Network
from vidkd.methods.inputs import Inputs
from vidkd.methods.teacher_model import check_network, load_head
from vidkd.methods.trimodel.predict import load_student


def parts(inputs: Inputs, settings: Mapping[str, Any]) -> list[Part]:
    """What is measured: a clip through each student, and through teacher and assistant.

    Raises:
        UserError: a network cannot be loaded.
    """
    students = [_student(name, weights) for name, (weights,) in inputs.runs.items()]
    return students + [_frozen(role, network) for role, network in inputs.needs.networks.items()]


def _student(name: str, weights: Path) -> Part:
    model, settings, _ = load_student(weights)
    return clip_part(name, [model], settings.frames, settings.size, [weights])


def _frozen(role: str, network: Network) -> Part:
    """A teacher or an assistant with its linear head, from uint8 clips to logits."""
    backbone, head = cast(VideoMAE, load_backbone(network.settings)), Path(str(network.head))
    check_network(head, backbone)
    whole = nn.Sequential(backbone, nn.Flatten(1, 2), load_head(head))
    files = (*backbone.origin.files, head)
    return clip_part(role, [whole], backbone.spec.frames, backbone.spec.size, files)
