"""What a bundle takes a clip, and what it would take to run its teachers: time and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from vidkd.backbones.network import Network, device_of
from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
from vidkd.evaluate.efficiency import count_parameters
from vidkd.evaluate.timing import quartiles, time_rounds
from vidkd.files import atomic
from vidkd.methods.fusion.bundle import Bundle


@dataclass(frozen=True)
class Part:
    """Something that is timed.

    Attributes:
        name: in the table.
        params: how many values it has.
        run: what it does with one clip.
    """

    name: str
    params: int
    run: Callable[[], object]


def measure(
    bundle: Bundle, teachers: Mapping[str, BackboneSettings], output: Path, threads: int = 1, rounds: int = 30
) -> None:
    """Write a row for each part: `part, params, ms, ms_low, ms_high, relative`.

    `ms` is the median time of one clip that has been decoded, `ms_low` and `ms_high` are the quartiles,
    `relative` is the ratio of the medians to the student's. Every round times every part once, so that what
    else the machine does falls on all of them.

    Args:
        bundle: what is exported, loaded for batches of one.
        teachers: the networks that it does without, by name.
        output: csv to write.
        threads: on a CPU.
        rounds: how often each part is timed.

    Raises:
        UserError: a teacher cannot be loaded.
    """
    torch.set_num_threads(threads)
    networks = {name: Network(load_backbone(of), of, device_of(of), batch=1) for name, of in teachers.items()}
    parts = parts_of(bundle, networks)
    taken = time_rounds({part.name: part.run for part in parts}, rounds)
    table = pd.DataFrame([_row(part, taken[part.name]) for part in parts])
    table["relative"] = (table["ms"] / table["ms"].iloc[0]).map("{:.3f}".format)
    for column in ("ms", "ms_low", "ms_high"):
        table[column] = table[column].map("{:.3f}".format)
    with atomic(output) as temporary:
        table.to_csv(temporary, index=False)


def parts_of(bundle: Bundle, teachers: Mapping[str, Network]) -> list[Part]:
    """The student, converters, head, all of it; each teacher, all of them, and these with the student."""
    student, device = bundle.student, bundle.student.device
    clip, feature_1ND = _clip(student), torch.zeros(1, *student.row_shape(), device=device)
    converters = {**bundle.converters, **dict(bundle.head.converters.items())}
    inputs = {bundle.student_name: feature_1ND} | {name: of(feature_1ND) for name, of in converters.items()}
    clips = {name: _clip(network) for name, network in teachers.items()}
    sizes = {name: count_parameters(network.backbone) for name, network in teachers.items()}
    own, others = count_parameters(student.backbone), sum(sizes.values())
    converting, head = sum(map(count_parameters, converters.values())), count_parameters(bundle.head.model)

    def whole() -> Tensor:
        return bundle.logits(torch.from_numpy(student.pooled(clip)))

    def all_teachers() -> None:
        for name, network in teachers.items():
            network.pooled(clips[name])

    def with_student() -> None:
        student.pooled(clip)
        all_teachers()

    parts = [
        Part("student", own, lambda: student.pooled(clip)),
        Part("converters", converting, lambda: [of(feature_1ND) for of in converters.values()]),
        Part("head", head, lambda: bundle.head.model(inputs)),
        Part("bundle", own + converting + head, whole),
        *(Part(f"teacher {name}", sizes[name], _run(of, clips[name])) for name, of in teachers.items()),
    ]
    if not teachers:
        return parts
    return [
        *parts,
        Part("all teachers", others, all_teachers),
        Part("student and all teachers", own + others, with_student),
    ]


def _run(network: Network, clip: Tensor) -> Callable[[], object]:
    return lambda: network.pooled(clip)


def _clip(network: Network) -> Tensor:
    """A random video as a network sees it: uint8 (views x crops, T, 3, size, size)."""
    spec, generator = network.backbone.spec, torch.Generator().manual_seed(0)
    shape = (network.looks, spec.frames, 3, spec.size, spec.size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def _row(part: Part, taken: list[float]) -> dict[str, object]:
    middle, low, high = quartiles(taken)
    return {"part": part.name, "params": part.params, "ms": middle, "ms_low": low, "ms_high": high}
