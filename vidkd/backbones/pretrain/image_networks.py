"""Small networks of open_clip and timm, with the preprocessing that these libraries save beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which both import

# isort: split

import open_clip
import timm
from open_clip.push_to_hf_hub import save_config_for_hf
from safetensors.torch import save_file
from timm.models import save_for_hf
from torch import nn

from vidkd.backbones.clip import CLIP, CONFIG
from vidkd.backbones.mobilevit import ImageEncoder
from vidkd.backbones.pretrain.trainable import MEAN, NOWHERE, SPREAD, STD, Trainable, new_spec
from vidkd.backbones.source import WEIGHTS
from vidkd.config.checkpoints import CheckpointSettings

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
"""The text tower of every small CLIP: captions have ten words. The vocabulary is that of CLIP's tokenizer."""


def build_clip(settings: CheckpointSettings) -> Trainable:
    """CLIP of open_clip with a vision transformer."""
    vision = {
        "image_size": settings.size, "layers": settings.layers, "width": settings.width,
        "patch_size": settings.patch, "head_width": settings.width // settings.heads, "mlp_ratio": 2.0,
    }  # fmt: skip
    config = {"embed_dim": settings.width, "vision_cfg": vision, "text_cfg": TEXT}
    network = open_clip.model.CLIP(**config)
    for weight in network.visual.transformer.parameters():
        if weight.ndim > 1:
            nn.init.normal_(weight, std=SPREAD)
    pixels = {"size": settings.size, "mean": list(MEAN), "std": list(STD)}
    open_clip.model.set_model_preprocess_cfg(network, pixels)

    def save(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(network.state_dict(), folder / WEIGHTS["clip"][0])
        save_config_for_hf(network, folder / CONFIG, model_config=config)

    return Trainable(CLIP(new_spec(settings, settings.width), network, NOWHERE), save)


def build_timm(settings: CheckpointSettings) -> Trainable:
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

    return Trainable(ImageEncoder(new_spec(settings, network.num_features), network, NOWHERE), save)
