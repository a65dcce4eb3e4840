"""What a clip costs each student, the teacher and the assistant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from torch import nn

from vidkd.backbones.registry import load_backbone
from vidkd.backbones.videomae import VideoMAE
from vidkd.evaluate.cost import Part, clip_part, measure, write_rows
from vidkd.methods.trimodel.frozen import check_network, load_head
from vidkd.methods.trimodel.predict import load_student
from vidkd.methods.trimodel.train import Network


def measure_trimodels(
    students: Mapping[str, Path], networks: Mapping[str, Network], output: Path, rounds: int = 30
) -> None:
    """Write a row for each, with the columns of `vidkd.evaluate.cost`.

    Args:
        students: `model.safetensors` by variant.
        networks: teacher and assistant by these names.
        output: csv to write.
        rounds: how often each is timed.

    Raises:
        UserError: a network cannot be loaded.
    """
    parts = [_student(name, weights) for name, weights in students.items()]
    parts += [_frozen(name, network) for name, network in networks.items()]
    write_rows(measure(parts, rounds), output)


def _student(name: str, weights: Path) -> Part:
    model, settings, _ = load_student(weights)
    return clip_part(name, [model], settings.frames, settings.size, [weights])


def _frozen(name: str, network: Network) -> Part:
    """A teacher or an assistant with its linear head, from uint8 clips to logits."""
    backbone = cast(VideoMAE, load_backbone(network.backbone))
    check_network(network.head, backbone)
    whole = nn.Sequential(backbone, nn.Flatten(1, 2), load_head(network.head))
    files = (*backbone.origin.files, network.head)
    return clip_part(name, [whole], backbone.spec.frames, backbone.spec.size, files)
