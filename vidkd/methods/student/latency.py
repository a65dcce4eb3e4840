"""What a clip takes each student and the teacher, on one and on two threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import pandas as pd
import torch
from torch import Tensor, nn

from vidkd.backbones.clip import CLIP
from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
from vidkd.config.student import TEACHER
from vidkd.evaluate.timing import quartiles, time_rounds
from vidkd.files import atomic
from vidkd.methods.student.predict import load_student
from vidkd.methods.student.teacher import TeacherHead, check_network, load_head

THREADS = (1, 2)


def measure(
    students: Mapping[str, Path], head: Path, backbone: BackboneSettings, output: Path, rounds: int = 30
) -> None:
    """Write a row for each: `variant, ms_1, ms_1_low, ms_1_high, ms_2, …`, by the number of threads of a CPU.

    `ms` is the median time of one clip that has been decoded, `low` and `high` are the quartiles.

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
    parts = {name: _student(weights) for name, weights in students.items()}
    parts[TEACHER] = _teacher(network, load_head(head))
    rows: dict[str, dict[str, object]] = {name: {"variant": name} for name in parts}
    for threads in THREADS:
        torch.set_num_threads(threads)
        for name, taken in time_rounds(parts, rounds, f"rounds with {threads} threads").items():
            columns = (f"ms_{threads}", f"ms_{threads}_low", f"ms_{threads}_high")
            rows[name] |= {
                column: f"{value:.3f}" for column, value in zip(columns, quartiles(taken), strict=True)
            }
    with atomic(output) as temporary:
        pd.DataFrame(list(rows.values())).to_csv(temporary, index=False)


def _student(weights: Path) -> Callable[[], object]:
    model, settings, _ = load_student(weights)
    return _run(model, _clip(settings.frames, settings.size))


def _teacher(network: CLIP, head: TeacherHead) -> Callable[[], object]:
    whole = nn.Sequential(network, nn.Flatten(1, 2), head)
    return _run(whole, _clip(network.spec.frames, network.spec.size))


def _run(network: nn.Module, clip_1TCHW: Tensor) -> Callable[[], object]:
    return lambda: network(clip_1TCHW)


def _clip(frames: int, size: int) -> Tensor:
    """A random clip: uint8 (1, T, 3, size, size)."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, frames, 3, size, size), dtype=torch.uint8, generator=generator)
