"""A student in one folder with all that it needs to predict videos: no teacher, no cache, no network.

config.json          what is what: classes, which frames of a video, pixels, and the sum of every file
model.safetensors    the weights
run.json             the `config.json` of the training
student.onnx         uint8 frames (B, T, 3, size, size) in, logits (B, K) out, B open
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidkd.artefacts import file_sha256
from vidkd.config.data import FrameSettings
from vidkd.data.clips import evaluation_loader
from vidkd.data.sampling import evaluation_positions
from vidkd.data.selected import Frames
from vidkd.errors import UserError
from vidkd.files import atomic_folder, check_inside, write_text
from vidkd.methods.inputs import Inputs
from vidkd.methods.student.model import Student
from vidkd.methods.student.predict import load_student
from vidkd.methods.student.settings import StudentSettings

log = logging.getLogger(__name__)

_VERSION = 1
"""Of the layout: raised when an older program could not read it any more."""

_CONFIG, _MODEL = "config.json", "student.onnx"

_TOLERANCE = 1e-4
"""Largest difference of a logit between PyTorch and ONNX."""


class _Logits(nn.Module):
    """A student as it is deployed: frames in, logits out."""

    def __init__(self, model: Student) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor) -> Tensor:
        """Logits (B, K) of uint8 clips (B, T, 3, H, W)."""
        logits: Tensor = self.model(frames).logits
        return logits


@dataclass(frozen=True)
class Exported:
    """An exported student, ready to predict.

    Attributes:
        settings: of the student: which frames and pixels it sees.
        classes: names in the order of the label ids.
        frames: which frames of a video are kept, as in the frame stores that it was trained on.
        session: of ONNX Runtime.
        at_once: videos that are decoded and seen together.
    """

    settings: StudentSettings
    classes: list[str]
    frames: FrameSettings
    session: onnxruntime.InferenceSession
    at_once: int

    @property
    def positions(self) -> NDArray[np.int64]:
        """Which of the kept frames the student sees."""
        return evaluation_positions(self.frames.per_video, self.settings.frames, self.settings)

    def logits_of(self, videos: Frames) -> Tensor:
        """Logits (B, K) of decoded videos, each by itself: none depends on those beside it."""
        loader = evaluation_loader(videos, [self.settings.frames], self.settings, 1, 0)
        clips = [batch.clips[self.settings.frames].numpy() for batch in loader]
        return torch.cat([torch.from_numpy(self.session.run(None, {"frames": clip})[0]) for clip in clips])


def export(inputs: Inputs, frames: FrameSettings, output: Path) -> None:
    """Write the folder of a trained student, whole or not at all.

    Args:
        inputs: the weights of the student.
        frames: which frames of a video were kept.
        output: the folder; one that is there is replaced.

    Raises:
        UserError: the weights cannot be used, the folder is something else or cannot be written, the network
            cannot be exported, or ONNX computes other logits.
    """
    if output.exists() and not is_exported(output):
        raise UserError(f"{output} is there and is no exported student: name another folder, or remove it")
    ((weights,),) = inputs.runs.values()
    model, settings, config = load_student(weights)
    with atomic_folder(output) as folder:
        to_onnx(model, settings, folder / _MODEL)
        files = {"model.safetensors": weights, "run.json": weights.with_name("config.json")}
        for name, path in files.items():
            (folder / name).write_bytes(path.read_bytes())
        difference = _largest_difference(model, settings, folder / _MODEL)
        if not difference <= _TOLERANCE:
            raise UserError(
                f"{weights}: a logit of ONNX differs by {difference:.2g} from PyTorch's, more than "
                f"{_TOLERANCE:g}: the networks are not the same"
            )
        about = {
            "student": _VERSION, "variant": config["run"], "seed": config["seed"],
            "classes": config["classes"], "settings": config["settings"],
            "frames": frames.model_dump(mode="json"), "onnx_difference": difference,
            "files": {name: file_sha256(folder / name) for name in sorted((*files, _MODEL))},
        }  # fmt: skip
        write_text(folder / _CONFIG, json.dumps(about, indent=2) + "\n")
    log.info("%s: largest difference of a logit from PyTorch %.2g", output, difference)


def to_onnx(model: Student, settings: StudentSettings, output: Path) -> None:
    """Write the network from uint8 frames (B, T, 3, size, size) to logits (B, K); B is open."""
    clip = _clips(settings, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        torch.onnx.export(
            _Logits(model).eval(), (clip,), output, input_names=["frames"], output_names=["logits"],
            dynamic_shapes={"frames": {0: torch.export.Dim("clips")}}, external_data=False, dynamo=True,
            verbose=False,
        )  # fmt: skip
    _strip(output)


def _strip(path: Path) -> None:
    """Leave out what the exporter notes of the program: places in files, others in another folder."""
    model = onnx.load(path)
    graph = model.graph
    for part in (
        model,
        graph,
        *graph.node,
        *graph.value_info,
        *graph.input,
        *graph.output,
        *graph.initializer,
    ):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    path.write_bytes(model.SerializeToString(deterministic=True))


def _largest_difference(model: Student, settings: StudentSettings, exported: Path) -> float:
    """Between logits of PyTorch and of ONNX Runtime, for one clip and several; NaN where one is NaN."""
    session, differences = _session(exported), list[Tensor]()
    for count in (1, 3):
        clip = _clips(settings, count)
        with torch.inference_mode():
            wanted = model(clip).logits
        (found,) = session.run(None, {"frames": clip.numpy()})
        differences.append((torch.from_numpy(found) - wanted).abs().max())
    return torch.stack(differences).max().item()


def load_exported(folder: Path, at_once: int = 8) -> Exported:
    """Read what `export` wrote, wherever the folder is now.

    Raises:
        UserError: it is none, is of another version, or a file is missing, damaged or was changed.
    """
    if not is_exported(folder):
        raise UserError(f"{folder} is no exported student: give the folder that export wrote")
    config = _config(folder)
    if config["student"] != _VERSION:
        raise UserError(
            f"{folder} is an exported student of version {config['student']}, and this program reads version "
            f"{_VERSION}: export it again with this program"
        )
    check_inside(folder, config["files"])
    for name, sha256 in config["files"].items():
        if not (folder / name).is_file() or file_sha256(folder / name) != sha256:
            raise UserError(f"{folder}: {name} is missing, damaged or was replaced: copy or export it again")
    settings = StudentSettings.model_validate(config["settings"])
    frames = FrameSettings.model_validate(config["frames"])
    return Exported(settings, config["classes"], frames, _session(folder / _MODEL), at_once)


def is_exported(folder: Path) -> bool:
    """Whether a folder says that it is an exported student, of any version."""
    return "student" in _config(folder)


def _config(folder: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) and "files" in config and "bundle" not in config else {}


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # sums depend on it in their last bit
    try:
        # Of bytes: of a file, ONNX Runtime would read further files that it names, wherever they are.
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # those of ONNX Runtime have nothing in common
        raise UserError(
            f"{path} is no network in one file ({type(error).__name__}): copy or export it again"
        ) from error


def _clips(settings: StudentSettings, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (count, settings.frames, 3, settings.size, settings.size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
