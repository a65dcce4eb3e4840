"""A trained converter, and whether it was made for these features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidkd.engine.run import read_config
from vidkd.engine.weights import load_covered, read_file
from vidkd.errors import UserError
from vidkd.features.meta import FeatureMeta
from vidkd.methods.converters.model import Converter, build_converter
from vidkd.methods.converters.settings import ConverterSettings

DECIDING = ("backbone", "weights_sha256", "preprocessing", "tokens", "frames")
"""What of FeatureMeta makes features others to a network that was trained on them; how they are rounded, and
which videos they are of, does not."""

_KEYS = {
    "converter", "student", "teacher", "student_meta", "teacher_meta", "settings", "student_shape",
    "teacher_shape",
}  # fmt: skip
"""What the `config.json` of a converter has at least."""


def load_converter(weights: Path) -> Converter:
    """Load a trained converter in evaluation mode.

    Args:
        weights: `model.safetensors` beside its `config.json`.

    Raises:
        UserError: a file is missing, damaged or none of a converter, or the two do not fit.
    """
    config = converter_config(weights)
    settings = ConverterSettings.model_validate(config["settings"])
    shapes = (tuple(config[side]) for side in ("student_shape", "teacher_shape"))
    converter = build_converter(settings, *shapes)
    load_covered(converter, read_file(weights), (), str(weights))
    return converter.eval().requires_grad_(False)


def converter_config(weights: Path) -> dict[str, Any]:
    """Read the `config.json` beside the weights of a converter.

    Raises:
        UserError: there is none, it is damaged, or it is none of a converter.
    """
    config = read_config(weights)
    path = weights.with_name("config.json")
    if missing := _KEYS - config.keys():
        raise UserError(
            f"{weights} is no converter: {path} has no {', '.join(sorted(missing))}. Give the "
            "model.safetensors of a converter's run."
        )
    for name in ("student_meta", "teacher_meta"):
        try:
            FeatureMeta.read(config[name])
        except (KeyError, ValueError, TypeError) as error:
            raise UserError(
                f"{path} is damaged: {name} is not what its training wrote ({error!r}). Delete the run's "
                "folder and train again."
            ) from error
    return config


def check_made_for(weights: Path, config: Mapping[str, Any], student: FeatureMeta) -> None:
    """Refuse to convert features of another network than the converter was trained on.

    Args:
        weights: of the converter, for the message.
        config: beside it, see `converter_config`.
        student: how the features were made that it is to convert.

    Raises:
        UserError: says what differs, and both values.
    """
    trained = FeatureMeta.read(config["student_meta"])
    if wrong := trained.differing(student, DECIDING):
        raise UserError(
            f"{weights} is a converter from other features than these of {student.backbone}: it was trained "
            f"with {'; '.join(wrong)}. Train it on these features, or give the features that it was trained "
            "on."
        )
