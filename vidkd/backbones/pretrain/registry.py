"""Which module builds the small network of each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vidkd import lazy
from vidkd.config.checkpoints import CheckpointSettings
from vidkd.errors import UserError

if TYPE_CHECKING:  # torch, which Snakemake shall not load to know the modules
    from vidkd.backbones.pretrain.trainable import Trainable

NETWORKS = {
    "clip": "vidkd.backbones.pretrain.clip:build",
    "timm": "vidkd.backbones.pretrain.mobilevit:build",
    "videomae": "vidkd.backbones.pretrain.videomae:build",
    "timesformer": "vidkd.backbones.pretrain.timesformer:build",
    "vivit": "vidkd.backbones.pretrain.vivit:build",
    "vjepa2": "vidkd.backbones.pretrain.vjepa2:build",
}


def module_of(kind: str) -> str:
    """The module that builds networks of this kind, which no import statement mentions."""
    return lazy.module_of(NETWORKS[kind])


def build_network(settings: CheckpointSettings) -> Trainable:
    """A network as the settings describe it; its random weights come from torch's global generator.

    Raises:
        UserError: its library makes none of these settings.
    """
    build: Callable[[CheckpointSettings], Trainable] = lazy.load(NETWORKS[settings.kind])
    try:
        return build(settings)
    except (ValueError, RuntimeError, TypeError, AssertionError, ZeroDivisionError) as error:
        raise UserError(f"the library makes no {settings.kind} of these settings: {error}") from error
