"""What a clip costs each student and the teacher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from vidkd.backbones.clip import CLIP
from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
from vidkd.evaluate.cost import Part, clip_part, measure, write_rows
from vidkd.methods.student.predict import load_student
from vidkd.methods.student.settings import TEACHER
from vidkd.methods.student.teacher import check_network, count_teacher, load_head, whole_teacher


def measure_students(
    students: Mapping[str, Path], head: Path, backbone: BackboneSettings, output: Path, rounds: int = 30
) -> None:
    """Write a row for each, with the columns of `vidkd.evaluate.cost`.

    Args:
        students: `model.safetensors` by variant.
        head: of the teacher.
        backbone: the teacher.
        output: csv to write.
        rounds: how often each is timed.

    Raises:
        UserError: a network cannot be loaded.
    """
    network = cast(CLIP, load_backbone(backbone))
    check_network(head, network)
    parts = [_student(name, weights) for name, weights in students.items()]
    write_rows(measure([*parts, _teacher(network, head)], rounds), output)


def _student(name: str, weights: Path) -> Part:
    model, settings, _ = load_student(weights)
    return clip_part(name, [model], settings.frames, settings.size, [weights])


def _teacher(network: CLIP, weights: Path) -> Part:
    """The image tower and the head; the checkpoint holds the text tower too, which `size_mb` counts."""
    head = load_head(weights)
    files = (*network.origin.files, weights)
    part = clip_part(TEACHER, [whole_teacher(network, head)], network.spec.frames, network.spec.size, files)
    return replace(part, params=count_teacher(network, head))
