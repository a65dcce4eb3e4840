"""Which module builds the small network of each kind."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from vidkd.config.checkpoints import CheckpointSettings
from vidkd.errors import UserError

if TYPE_CHECKING:  # torch, which Snakemake shall not load to know the modules
    from vidkd.backbones.pretrain.trainable import Trainable

NETWORKS = {
    "clip": "vidkd.backbones.pretrain.image_networks:build_clip",
    "timm": "vidkd.backbones.pretrain.image_networks:build_timm",
    "videomae": "vidkd.backbones.pretrain.video_networks:build_videomae",
    "timesformer": "vidkd.backbones.pretrain.video_networks:build_timesformer",
    "vivit": "vidkd.backbones.pretrain.video_networks:build_vivit",
    "vjepa2": "vidkd.backbones.pretrain.video_networks:build_vjepa2",
}


def module_of(kind: str) -> str:
    """The module that builds networks of this kind, which no import statement mentions."""
    return NETWORKS[kind].partition(":")[0]


def build_network(settings: CheckpointSettings) -> Trainable:
    """A network as the settings describe it; its random weights come from torch's global generator.

    Raises:
        UserError: its library makes none of these settings.
    """
    module, function = NETWORKS[settings.kind].split(":")
    build: Callable[[CheckpointSettings], Trainable] = getattr(import_module(module), function)
    try:
        return build(settings)
    except (ValueError, RuntimeError, TypeError, AssertionError, ZeroDivisionError) as error:
        raise UserError(f"the library makes no {settings.kind} of these settings: {error}") from error
