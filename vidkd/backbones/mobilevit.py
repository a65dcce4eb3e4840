"""MobileViT, and any other image encoder of timm, frame by frame; a frame's feature is the pooled one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which timm imports

# isort: split

import timm
from torch import Tensor

from vidkd.backbones.protocol import Backbone, BackboneSpec, meaning
from vidkd.backbones.source import Source, fill, find_source
from vidkd.config.backbones import FRAMES, BackboneSettings
from vidkd.errors import UserError

CONFIG = "config.json"

_OF_THE_LIBRARY = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir")
"""Arguments of timm.create_model that name further files, which a checkpoint has no business to name."""


class ImageEncoder(Backbone):
    """A step is a frame; S = 1."""

    def encode(self, clip_BTCHW: Tensor) -> Tensor:
        """Pooled features (B, T, 1, D), those that the classifier would see."""
        frame_ND = self.network(clip_BTCHW.flatten(0, 1))
        return frame_ND.unflatten(0, clip_BTCHW.shape[:2]).unsqueeze(2)


def load(settings: BackboneSettings) -> ImageEncoder:
    """A timm model from a folder as on the hub: config.json beside the weights, its classifier included.

    Raises:
        UserError: see `load_backbone`.
    """
    source = find_source(settings)
    config = source.json(CONFIG)
    pixels = _preprocessing(config, source)
    network = _build(config, source)
    fill(network, source.weights(), (), source.name)
    network.reset_classifier(0)
    frames = settings.frames or FRAMES
    spec = BackboneSpec(
        kind="timm", frames=frames, size=int(pixels["input_size"][1]), crop=float(pixels["crop_pct"]),
        mean=tuple(pixels["mean"]), std=tuple(pixels["std"]), width=_width(network), steps=frames,
        step_meaning=meaning(1),
    )  # fmt: skip
    return ImageEncoder(spec, network, source.origin(config))


def model_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """What timm.create_model is given beside the name, as a configuration says; the classes aside."""
    arguments = dict(config.get("model_args") or {})
    if "global_pool" in config:
        arguments.setdefault("global_pool", config["global_pool"])
    return arguments


def create_network(architecture: str, arguments: Mapping[str, Any]) -> Any:
    """A network of timm with random weights; neither its name nor its arguments can name a file or the hub.

    Raises:
        ValueError: they do, or timm makes no such network; so are RuntimeError, TypeError and others of timm.
    """
    if ":" in architecture:
        raise ValueError(f"{architecture} is a place, not the name of a network")
    if wrong := [name for name in _OF_THE_LIBRARY if name in arguments]:
        raise ValueError(f"{wrong[0]} is no argument of a network")
    return timm.create_model(architecture, pretrained=False, **arguments)


def _build(config: dict[str, Any], source: Source) -> Any:
    arguments = model_arguments(config)
    classes = config.get("num_classes", config["pretrained_cfg"].get("num_classes"))
    if classes is not None:
        arguments["num_classes"] = classes
    try:
        return create_network(str(config.get("architecture")), arguments)
    except (RuntimeError, TypeError, ValueError, KeyError, AssertionError) as error:
        raise UserError(
            f"{source.name}: timm {timm.__version__} makes no network of {CONFIG} ({error})"
        ) from error


def _preprocessing(config: dict[str, Any], source: Source) -> dict[str, Any]:
    """The part of the configuration that says what pixels the network was trained on."""
    found = config.get("pretrained_cfg") or {}
    if absent := [name for name in ("input_size", "mean", "std", "crop_pct") if not found.get(name)]:
        raise UserError(
            f"{source.name}: {CONFIG} does not say {', '.join(absent)} in pretrained_cfg: without it the "
            "network sees other pixels than it was trained on. Take the file of the model's repository."
        )
    channels, high, wide = found["input_size"]
    if high != wide or channels != 3:
        raise UserError(
            f"{source.name}: it takes {channels} channels of {wide}x{high} pixels; only square RGB frames "
            "are made here"
        )
    return dict(found)


def _width(network: Any) -> int:
    return int(getattr(network, "head_hidden_size", None) or network.num_features)
