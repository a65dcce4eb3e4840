"""A fusion head in one folder with all that it needs to predict videos: no teacher, no cache, no network.

    config.json              what is what, and the sum of every file
    student/                 the student's own files, as its library wrote them
    converters/{teacher}/    model.safetensors and config.json, of each frozen converter
    head/                    model.safetensors and config.json, with converters that were trained with it

Shapes in names: B clips, N tokens, D features, K classes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidkd.artefacts import file_sha256
from vidkd.backbones.network import Network, device_of
from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
from vidkd.config.data import FrameSettings
from vidkd.data.views import Frames, view_positions
from vidkd.engine.cpu import use_cpu
from vidkd.engine.logging import Waiting
from vidkd.engine.weights import listed
from vidkd.errors import UserError
from vidkd.features.meta import canonical
from vidkd.files import check_inside
from vidkd.methods.converters.load import load_converter
from vidkd.methods.converters.model import Converter
from vidkd.methods.fusion.method import Fuse
from vidkd.methods.fusion.predict import load_fusion

VERSION = 1
"""Of the layout: raised when an older program could not read a bundle any more."""

CONFIG = "config.json"
RUN = ("model.safetensors", CONFIG)


@dataclass(frozen=True)
class Bundle:
    """An exported network, ready to predict.

    Attributes:
        name: of the variant.
        seed: of the head.
        classes: names in the order of the label ids.
        frames: which frames of a video are kept, as in the frame stores that it was trained on.
        student: the frozen network.
        converters: by teacher, frozen.
        head: the head, with converters that were trained with it.
        student_name: under which the head knows the student's features.
    """

    name: str
    seed: int
    classes: list[str]
    frames: FrameSettings
    student: Network
    converters: Mapping[str, Converter]
    head: Fuse
    student_name: str

    @property
    def at_once(self) -> int:
        """Videos that are decoded and seen together."""
        return self.student.videos

    @property
    def positions(self) -> NDArray[np.int64]:
        """Name the kept frames that the student sees, of every view."""
        spec, settings = self.student.backbone.spec, self.student.settings
        return view_positions(self.frames.per_video, spec.frames, settings.views)

    def logits_of(self, videos: Frames) -> Tensor:
        """Return logits (B, K) of decoded videos."""
        rows = list(self.student.rows(videos, range(len(videos)), 0, Waiting()))
        return self.logits(torch.from_numpy(np.stack(rows)))

    @torch.no_grad()
    def logits(self, student_BND: Tensor) -> Tensor:
        """Return logits (B, K) of the student's features, float32 on the CPU.

        On a CPU a clip goes through by itself: what is said of it does not depend on those beside it.
        """
        device = self.student.device
        at_once = 1 if device.type == "cpu" else max(1, len(student_BND))
        parts = [self.one_pass(part.to(device)).float().cpu() for part in student_BND.split(at_once)]
        return torch.cat(parts)

    def one_pass(self, student_BND: Tensor) -> Tensor:
        """Return logits (B, K) of clips that go through converters and head together, on the device."""
        converted = {name: converter(student_BND) for name, converter in self.converters.items()}
        return self.head.logits({self.student_name: student_BND, **converted})


def load_bundle(folder: Path, batch: int = 8) -> Bundle:
    """Read what `export` wrote, wherever the folder is now; it runs on a GPU where there is one.

    Args:
        folder: of the bundle.
        batch: videos that are seen together; no effect on a CPU's result.

    Raises:
        UserError: it is no bundle, is of another version, or a file is missing, damaged or was changed.
    """
    config = bundle_config(folder)
    named = (config["backbone"].get(place, ".") for place in ("file", "folder"))
    check_inside(folder, [*config["files"], *named, *(f"converters/{name}" for name in config["converters"])])
    _check_files(folder, config["files"])
    settings = backbone_settings(folder, config)
    use_cpu(settings.cpu_threads)  # as in extraction, and so is the next line
    torch.backends.cudnn.allow_tf32 = False
    device = device_of(settings)
    head = load_fusion(folder / "head" / RUN[0]).to(device)
    converters = {
        teacher: load_converter(folder / "converters" / teacher / RUN[0]).to(device)
        for teacher in config["converters"]
    }
    student = Network(load_backbone(settings), settings, device, batch)
    return Bundle(
        config["fusion"], config["seed"], config["classes"], FrameSettings.model_validate(config["frames"]),
        student, converters, head, config["student"],
    )  # fmt: skip


def bundle_config(folder: Path) -> dict[str, Any]:
    """Read the `config.json` of a bundle.

    Raises:
        UserError: there is none, it is damaged, or of another version.
    """
    path = folder / CONFIG
    if not is_bundle(folder):
        raise UserError(f"{folder} is no bundle: {path} is missing or of something else. {_AGAIN}")
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if config["bundle"] != VERSION:
        raise UserError(
            f"{folder} is a bundle of version {config['bundle']}, and this program reads version {VERSION}: "
            "export it again with this program, or use the one that wrote it"
        )
    if sum_of({name: value for name, value in config.items() if name != "sha256"}) != config.get("sha256"):
        raise UserError(f"{path} is damaged or was changed by hand. {_AGAIN}")
    return config


def backbone_settings(folder: Path, config: Mapping[str, Any]) -> BackboneSettings:
    """Return settings of the student, whose source is in `folder`."""
    values = dict(config["backbone"])
    place = "file" if "file" in values else "folder"
    return BackboneSettings.model_validate(values | {place: str(folder / values[place])})


_AGAIN = "Give the folder that the export wrote; copy it again, or export it again."


def is_bundle(folder: Path) -> bool:
    """Say whether a folder claims to be one, of any version."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and "bundle" in config


def _check_files(folder: Path, sums: Mapping[str, str]) -> None:
    if missing := [name for name in sums if not (folder / name).is_file()]:
        raise UserError(f"{folder} lacks {listed(missing)}. {_AGAIN}")
    if wrong := [name for name, sha256 in sums.items() if file_sha256(folder / name) != sha256]:
        raise UserError(f"{folder}: {listed(wrong)} is damaged or was replaced. {_AGAIN}")


def sum_of(config: Mapping[str, Any]) -> str:
    """SHA-256 of what `config.json` says beside it."""
    return hashlib.sha256(canonical(config).encode()).hexdigest()
