"""The student's image encoder: any network of timm, with the preprocessing of its own configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which timm imports

# isort: split

import timm
import torch
from timm.data import resolve_model_data_config
from torch import Tensor, nn

from vidkd.backbones.mobilevit import CONFIG, create_network, model_arguments
from vidkd.backbones.registry import load_backbone
from vidkd.backbones.source import find_source
from vidkd.config.backbones import BackboneSettings
from vidkd.config.problems import nearest
from vidkd.data.augment import Normalise
from vidkd.errors import UserError


@dataclass(frozen=True)
class EncoderSpec:
    """What network of timm it is, and the pixels that it was made for.

    Attributes:
        architecture: name of the model.
        size: height and width in pixels.
        mean: of each colour, 0 to 1.
        std: standard deviation of each colour.
        arguments: further ones of timm.create_model.
    """

    architecture: str
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """What `config.json` says of it."""
        return asdict(self)


class Encoder(nn.Module):
    """A network of timm without its classifier, from uint8 pixels on.

    Attributes:
        spec: what it is.
        width: of its features.
    """

    def __init__(self, spec: EncoderSpec, network: Any) -> None:
        super().__init__()
        self.spec, self.network = spec, network
        self.normalise = Normalise(spec.mean, spec.std)
        self.width = int(getattr(network, "head_hidden_size", None) or network.num_features)

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        """Pooled features (N, E) of uint8 frames (N, 3, H, W)."""
        feature_NE: Tensor = self.network(self.normalise(pixels_NCHW))
        return feature_NE


def build_encoder(spec: EncoderSpec) -> Encoder:
    """The network of a spec, with random weights.

    Raises:
        UserError: timm makes no such network.
    """
    try:
        network = create_network(spec.architecture, {**spec.arguments, "num_classes": 0})
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        raise UserError(
            f"timm {timm.__version__} makes no network {spec.architecture!r} ({error}): the config.json of "
            "the student is damaged or was changed"
        ) from error
    return Encoder(spec, network)


def new_encoder(arch: str) -> Encoder:
    """A network of timm with random weights, and the preprocessing that timm has for it.

    Raises:
        UserError: timm has no such network, or it takes other than square RGB frames.
    """
    try:
        network: Any = timm.create_model(arch, pretrained=False, num_classes=0)
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        raise UserError(
            f"arch: timm {timm.__version__} makes no network {arch!r} ({error}); "
            f"{nearest(arch, timm.list_models())}"
        ) from error
    pixels = resolve_model_data_config(network)
    channels, high, wide = pixels["input_size"]
    if channels != 3 or high != wide:
        raise UserError(
            f"arch {arch!r} takes {channels} channels of {wide}x{high} pixels; frames are square RGB"
        )
    return Encoder(EncoderSpec(arch, int(high), tuple(pixels["mean"]), tuple(pixels["std"])), network)


def check_size(encoder: Encoder, size: int) -> None:
    """Refuse pixels that a network does not take.

    Raises:
        UserError: it takes those of its own size alone.
    """
    try:
        with torch.no_grad():
            encoder.eval()(torch.zeros(1, 3, size, size, dtype=torch.uint8))
    except (AssertionError, RuntimeError) as error:
        name, own = encoder.spec.architecture, encoder.spec.size
        raise UserError(
            f"size: {name} takes no frames of {size} pixels ({error}): set 0 for its own {own}"
        ) from error


def pretrained_encoder(settings: BackboneSettings) -> Encoder:
    """The network of a backbone of the kind timm, with its weights, to be trained on.

    Raises:
        UserError: see `load_backbone`.
    """
    backbone = load_backbone(settings)
    config = find_source(settings).json(CONFIG)
    arguments = {name: value for name, value in model_arguments(config).items() if name != "num_classes"}
    spec = EncoderSpec(
        str(config["architecture"]), backbone.spec.size, backbone.spec.mean, backbone.spec.std, arguments
    )
    return Encoder(spec, backbone.network.requires_grad_(True))
