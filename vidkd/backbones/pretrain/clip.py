"""A small CLIP of open_clip, with the preprocessing that the library saves beside it."""

from __future__ import annotations

from pathlib import Path

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which open_clip imports

# isort: split

import open_clip
from open_clip.push_to_hf_hub import save_config_for_hf
from safetensors.torch import save_file
from torch import nn

from vidkd.backbones.clip import CLIP, CONFIG
from vidkd.backbones.pretrain.captions import LENGTH
from vidkd.backbones.pretrain.trainable import MEAN, NOWHERE, SPREAD, STD, Trainable, new_spec
from vidkd.backbones.source import WEIGHTS
from vidkd.config.checkpoints import CheckpointSettings

TEXT = {"context_length": LENGTH, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
"""The text tower; the vocabulary is that of CLIP's tokenizer."""


def build(settings: CheckpointSettings) -> Trainable:
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

    return Trainable(CLIP(new_spec(settings, settings.width, settings.crop), network, NOWHERE), save)
