"""A small image encoder of timm, with the preprocessing that the library saves beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which timm imports

# isort: split

import timm
from timm.models import save_for_hf

from vidkd.backbones.mobilevit import ImageEncoder
from vidkd.backbones.pretrain.trainable import MEAN, NOWHERE, STD, Trainable, new_spec
from vidkd.config.checkpoints import CheckpointSettings


def build(settings: CheckpointSettings) -> Trainable:
    """An image encoder of timm, without a classifier."""
    network: Any = timm.create_model(
        settings.architecture, pretrained=False, num_classes=0, width_factor=settings.width / 100
    )
    pixels = {
        "input_size": (3, settings.size, settings.size),
        "mean": MEAN,
        "std": STD,
        "crop_pct": settings.crop,
    }

    def save(folder: Path) -> None:
        save_for_hf(network, str(folder), safe_serialization=True, data_config=pixels)

    return Trainable(
        ImageEncoder(new_spec(settings, network.num_features, settings.crop), network, NOWHERE), save
    )
