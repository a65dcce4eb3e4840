"""What the small networks of transformers share: their sizes, their preprocessing, how they are saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which transformers imports

# isort: split

import transformers
from transformers.utils import logging as library_logging

from vidkd.backbones.pretrain.trainable import MEAN, SPREAD, STD, new_spec
from vidkd.backbones.protocol import BackboneSpec
from vidkd.config.checkpoints import CheckpointSettings

MLP = 2
"""Width of the hidden layer over the width of the network."""


def transformer(settings: CheckpointSettings) -> dict[str, Any]:
    """The sizes of a network, as most configurations of the library call them."""
    return {
        "hidden_size": settings.width,
        "num_hidden_layers": settings.layers,
        "num_attention_heads": settings.heads,
        "intermediate_size": MLP * settings.width,
        "initializer_range": SPREAD,
    }


def pixels(settings: CheckpointSettings) -> dict[str, Any]:
    """How a processor of the library cuts the square that the network sees."""
    return {
        "size": {"shortest_edge": round(settings.size / settings.crop)},
        "crop_size": {"height": settings.size, "width": settings.size},
        "image_mean": list(MEAN),
        "image_std": list(STD),
    }


def video_spec(settings: CheckpointSettings, processor: Any) -> BackboneSpec:
    """What the network takes and gives, its crop as the processor rounds it: the one it is loaded with."""
    return new_spec(settings, settings.width, settings.size / processor.size["shortest_edge"])


def saver(network: transformers.PreTrainedModel, processor: Any) -> Callable[[Path], None]:
    """A function that writes both into a folder."""

    def save(folder: Path) -> None:
        library_logging.disable_progress_bar()
        network.save_pretrained(folder)
        processor.save_pretrained(folder)

    return save
