"""What a bundle costs a clip, and what it would cost to run its teachers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidkd.backbones.network import Network, device_of
from vidkd.backbones.registry import load_backbone
from vidkd.engine.efficiency import count_parameters
from vidkd.evaluate.cost import Part, random_clips
from vidkd.methods.fusion.bundle import RUN, Bundle, load_bundle
from vidkd.methods.inputs import Inputs


def parts(inputs: Inputs, settings: Mapping[str, Any]) -> list[Part]:
    """Name what is measured: the parts of a bundle, the bundle, and the networks that it does without.

    Raises:
        UserError: the bundle or a teacher cannot be loaded.
    """
    folder = inputs.result("bundle")
    bundle = load_bundle(folder, batch=1)
    teachers = {name: network.settings for name, network in inputs.needs.networks.items()}
    networks = {name: Network(load_backbone(of), of, device_of(of), batch=1) for name, of in teachers.items()}
    return [*_own_parts(bundle, folder), *_others(bundle.student, networks)]


def _own_parts(bundle: Bundle, folder: Path) -> list[Part]:
    """The student, its converters, the head, and all of it."""
    student = _network_part("student", bundle.student)
    others = [_converters(bundle, folder), _head(bundle, folder)]
    clip = _clip(bundle.student)

    def whole() -> Tensor:
        return bundle.logits(torch.from_numpy(bundle.student.pooled(clip)))

    return [student, *others, _together("bundle", [student, *others], whole)]


def _converters(bundle: Bundle, folder: Path) -> Part:
    """All converters; the weights of those that were trained with the head are in its file."""
    own = dict(bundle.head.converters.items())
    converters, feature_1ND = {**bundle.converters, **own}, _feature(bundle.student)
    files = () if own else tuple(folder / "converters" / name / RUN[0] for name in bundle.converters)
    return Part(
        "converters", lambda: [of(feature_1ND) for of in converters.values()],
        sum(map(count_parameters, converters.values())), files=files, device=bundle.student.device,
    )  # fmt: skip


def _head(bundle: Bundle, folder: Path) -> Part:
    """The head, on features that have been converted."""
    feature_1ND = _feature(bundle.student)
    converters = {**bundle.converters, **dict(bundle.head.converters.items())}
    inputs = {bundle.student_name: feature_1ND} | {name: of(feature_1ND) for name, of in converters.items()}
    return Part(
        "head", lambda: bundle.head.model(inputs), count_parameters(bundle.head.model),
        files=(folder / "head" / RUN[0],), device=bundle.student.device,
    )  # fmt: skip


def _others(student: Network, teachers: Mapping[str, Network]) -> list[Part]:
    """Each teacher, all of them, and these with the student; nothing where there are none."""
    if not teachers:
        return []
    each = [_network_part(f"teacher {name}", network) for name, network in teachers.items()]
    first = _network_part("student", student)
    return [
        *each,
        _together("all teachers", each, _in_turn(each)),
        _together("student and all teachers", [first, *each], _in_turn([first, *each])),
    ]


def _network_part(name: str, network: Network) -> Part:
    """A frozen network, on all that it sees of a video."""
    clip, frames = _clip(network), network.looks * network.backbone.spec.frames
    params, files = count_parameters(network.backbone), network.backbone.origin.files
    return Part(name, lambda: network.pooled(clip), params, frames, files, network.device)


def _together(name: str, parts: list[Part], run: Callable[[], object]) -> Part:
    """Parts that run as one; `frames` of all networks among them are added up."""
    params = sum(part.params for part in parts)
    frames = sum(part.frames or 0 for part in parts)
    files = tuple(file for part in parts for file in part.files)
    return Part(name, run, params, frames, files, parts[0].device)


def _in_turn(parts: list[Part]) -> Callable[[], object]:
    return lambda: [part.run() for part in parts]


def _clip(network: Network) -> Tensor:
    """A random video as a network sees it: uint8 (views x crops, T, 3, size, size)."""
    spec = network.backbone.spec
    return random_clips(network.looks, spec.frames, spec.size)


def _feature(student: Network) -> Tensor:
    """Features (1, N, D) of no video."""
    return torch.zeros(1, *student.row_shape(), device=student.device)
