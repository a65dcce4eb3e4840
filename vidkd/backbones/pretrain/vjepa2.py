"""A small V-JEPA 2 of transformers, with the preprocessing that the library saves beside it."""

from __future__ import annotations

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which transformers imports

# isort: split

import transformers

from vidkd.backbones.pretrain.of_transformers import MLP, pixels, saver, video_spec
from vidkd.backbones.pretrain.trainable import NOWHERE, SPREAD, Trainable
from vidkd.backbones.vjepa2 import VJEPA2
from vidkd.config.checkpoints import CheckpointSettings


def build(settings: CheckpointSettings) -> Trainable:
    """V-JEPA 2; its predictor, which nothing here uses, keeps its random weights."""
    config = transformers.VJEPA2Config(
        crop_size=settings.size, patch_size=settings.patch, frames_per_clip=settings.frames,
        tubelet_size=settings.tubelet, hidden_size=settings.width, num_attention_heads=settings.heads,
        num_hidden_layers=settings.layers, mlp_ratio=MLP, initializer_range=SPREAD,
        pred_hidden_size=24, pred_num_attention_heads=2, pred_num_hidden_layers=1,
    )  # fmt: skip
    network = transformers.VJEPA2Model(config)
    processor = transformers.VJEPA2VideoProcessor(**pixels(settings))
    return Trainable(
        VJEPA2(video_spec(settings, processor), network.encoder, NOWHERE), saver(network, processor)
    )
