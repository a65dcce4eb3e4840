"""The files of a trained fusion head: how its weights are named, and reading them back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from vidkd.engine.run import NETWORK, read_config
from vidkd.engine.weights import load_covered, read_file
from vidkd.errors import UserError
from vidkd.methods.converters.model import build_converter
from vidkd.methods.converters.settings import ConverterSettings
from vidkd.methods.fusion.method import Fuse
from vidkd.methods.fusion.model import FusionHead
from vidkd.methods.fusion.settings import FusionSettings

CONVERTERS = "converters."
"""Beginning of the names of converters that were trained with the head."""


def file_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a method as they are written: those of the head without a beginning of their own."""
    return {name.removeprefix(NETWORK): value for name, value in state.items()}


def load_fusion(weights: Path) -> Fuse:
    """A trained fusion head in evaluation mode, with the converters that were trained with it.

    Args:
        weights: `model.safetensors` beside its `config.json`.

    Raises:
        UserError: a file is missing, damaged or none of a fusion head, or the two do not fit.
    """
    config = read_config(weights)
    if missing := {"sources", "student", "classes", "settings"} - config.keys():
        raise UserError(
            f"{weights} is no fusion head: {weights.with_name('config.json')} has no "
            f"{', '.join(sorted(missing))}. Give the model.safetensors of train_fusion."
        )
    settings = FusionSettings.model_validate(config["settings"])
    shapes = {name: tuple(source["shape"]) for name, source in config["sources"].items()}
    converters = {
        name: build_converter(
            ConverterSettings.model_validate(made["settings"]),
            tuple(made["student_shape"]),
            tuple(made["teacher_shape"]),
        )
        for name, source in config["sources"].items()
        if (made := source.get("converter"))
    }
    head = FusionHead(shapes, len(config["classes"]), settings)
    method = Fuse(head, converters, config["student"], settings.gate_sparsity)
    state = {
        name if name.startswith(CONVERTERS) else f"{NETWORK}{name}": value
        for name, value in read_file(weights).items()
    }
    load_covered(method, state, (), str(weights))
    return method.eval().requires_grad_(False)
