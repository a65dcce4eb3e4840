"""What the networks of transformers share: loading under whatever names a release uses, and preprocessing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which transformers imports

# isort: split

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from transformers.utils import logging as library_logging

from vidkd.backbones.protocol import BackboneSpec, count_steps, meaning
from vidkd.backbones.source import Source, check_names
from vidkd.config.backbones import BackboneSettings
from vidkd.errors import UserError

CONFIG = "config.json"
PREPROCESSORS = ("video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json")
"""Files that hold the preprocessing, in the order in which transformers looks for them."""


class Pixels(NamedTuple):
    """What pixels a network was trained on.

    Attributes:
        size: height and width in pixels.
        crop: side of the square that is seen, as a share of the frame's short side.
        mean: of the input, 0 to 1, for `Normalise`.
        std: standard deviation, likewise.
        config: what it was read from.
    """

    size: int
    crop: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    config: dict[str, Any]


def read_config(source: Source, kind: str) -> Any:
    """The configuration of a network of this kind, `model_type` in transformers.

    Raises:
        UserError: the file is missing, or that of another kind.
    """
    content = source.json(CONFIG)
    if content.get("model_type") != kind:
        raise UserError(
            f"{source.name}: {CONFIG} is of the kind {content.get('model_type')}, not {kind}: set kind to "
            "what it is, or name another source"
        )
    if content.get("quantization_config"):
        raise UserError(
            f"{source.name}: {CONFIG} says that its weights are quantised, for which transformers loads "
            "other libraries. Take weights of float32, float16 or bfloat16."
        )
    try:
        return transformers.AutoConfig.for_model(**content)
    except (ValueError, TypeError, StrictDataclassError) as error:
        raise UserError(
            f"{source.name}: transformers {transformers.__version__} makes no network of {CONFIG} ({error})"
        ) from error


def load_network(
    network: type[transformers.PreTrainedModel],
    config: Any,
    weights: Mapping[str, Tensor],
    unused: tuple[str, ...],
    source: Source,
    settings: BackboneSettings,
    **arguments: Any,
) -> Any:
    """A network with all its weights, in float32.

    Names of older releases are translated by transformers itself.

    Args:
        network: class in transformers.
        config: of the network.
        weights: tensors of the checkpoint.
        unused: beginnings of names that the checkpoint may have or lack: heads, and parts never run here.
        source: the checkpoint, for messages.
        settings: the attention; null is sdpa where the class has it.
        arguments: more of the class's own.

    Raises:
        UserError: anything else is missing, or is there and unknown.
    """
    library_logging.disable_progress_bar()
    library_logging.set_verbosity_error()  # its own reports of what is missing are replaced by check_names
    loaded: Any = network.from_pretrained(
        None, config=config, state_dict=dict(weights), attn_implementation=settings.attention,
        dtype=torch.float32, ignore_mismatched_sizes=True, output_loading_info=True, **arguments,
    )  # fmt: skip
    model, found = loaded
    wanted = {
        name: value.numel() for name, value in model.state_dict().items() if not name.startswith(unused)
    }
    absent = {*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])}
    unknown = {name for name in found["unexpected_keys"] if not name.startswith(unused)}
    check_names(wanted, [name for name in wanted if name in absent], unknown, source.name)
    return model


def read_pixels(source: Source, expected: int, offset: bool = False) -> Pixels:
    """The preprocessing of the checkpoint.

    Args:
        source: the checkpoint.
        expected: height and width that its network takes.
        offset: whether the kind's processor subtracts 1 when the file does not say.

    Raises:
        UserError: there is none, or it gives another size.
    """
    found = _preprocessor(source)
    if absent := [name for name in ("image_mean", "image_std", "size") if name not in found]:
        raise UserError(f"{source.name}: its preprocessing does not say {', '.join(absent)}: {_WHY}")
    crop = found.get("crop_size") if found.get("do_center_crop", True) else None
    short = _side(found["size"], source)
    side = _side(crop, source) if crop is not None else short
    if side != expected:
        raise UserError(
            f"{source.name}: its preprocessing gives {side} pixels, its network takes {expected}: take both "
            "files of the same repository"
        )
    mean, std = _as_shares(found, offset)
    if not all(map(math.isfinite, (*mean, *std))) or min(std) <= 0:
        raise UserError(f"{source.name}: its preprocessing has a mean {mean} and deviation {std}: {_WHY}")
    return Pixels(side, min(1.0, side / short), mean, std, found)


def video_spec(
    kind: str, frames: int, tubelet: int, width: int, pixels: Pixels, source: Source
) -> BackboneSpec:
    """The spec of a network whose time steps are tubelets.

    Raises:
        UserError: the frames do not divide into tubelets.
    """
    return BackboneSpec(
        kind=kind, frames=frames, size=pixels.size, crop=pixels.crop, mean=pixels.mean, std=pixels.std,
        width=width, steps=count_steps(frames, tubelet, source.name), step_meaning=meaning(tubelet),
    )  # fmt: skip


def refuse_frames(settings: BackboneSettings, own: int, source: Source) -> None:
    """Refuse another number of frames than a network with learned positions in time was trained on.

    Raises:
        UserError: the settings name one.
    """
    if settings.frames not in (None, own):
        raise UserError(
            f"{source.name}: frames is {settings.frames}, but its learned positions in time are those of "
            f"{own} frames: leave frames out"
        )


_WHY = (
    "without it the network sees other pixels than it was trained on. Take the file of the model's repository"
)


def _preprocessor(source: Source) -> dict[str, Any]:
    for file in PREPROCESSORS:
        if (source.folder / file).is_file():
            content = source.json(file)
            return dict(content.get("video_processor") or content.get("image_processor") or content)
    raise UserError(f"{source.name}: {' or '.join(PREPROCESSORS[:2])} is missing: {_WHY}")


def _side(size: int | Mapping[str, int], source: Source) -> int:
    """Of a square, written in any of the ways of the library's releases."""
    values = {size} if isinstance(size, int) else set(size.values())
    if len(values) != 1:
        raise UserError(f"{source.name}: its size is {size}; only square frames are made here")
    return int(values.pop())


def _as_shares(
    found: Mapping[str, Any], offset: bool
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation for values of 0 to 1, whatever range the library scales to first."""
    offset = bool(found.get("offset", offset))
    factor = found.get("rescale_factor", 1 / 127.5 if offset else 1 / 255)
    scale = 255 * factor if found.get("do_rescale", True) else 255.0
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if found.get("do_normalize", True):
        mean, std = tuple(found["image_mean"]), tuple(found["image_std"])
    r, g, b = ((value + offset) / scale for value in mean)
    u, v, w = (value / scale for value in std)
    return (r, g, b), (u, v, w)
