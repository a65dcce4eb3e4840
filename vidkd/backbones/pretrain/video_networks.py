"""Small networks of transformers, with the preprocessing that their libraries save beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which transformers imports

# isort: split

import torch
import transformers
from transformers.utils import logging as library_logging

from vidkd.backbones.pretrain.trainable import MEAN, NOWHERE, SPREAD, STD, Trainable, new_spec
from vidkd.backbones.protocol import BackboneSpec
from vidkd.backbones.timesformer import TimeSformer
from vidkd.backbones.videomae import VideoMAE
from vidkd.backbones.vivit import ViViT
from vidkd.backbones.vjepa2 import VJEPA2
from vidkd.config.checkpoints import CheckpointSettings

MLP = 2
"""Width of the hidden layer over the width of the network."""


def build_videomae(settings: CheckpointSettings) -> Trainable:
    """VideoMAE, without a head."""
    config = transformers.VideoMAEConfig(
        image_size=settings.size, patch_size=settings.patch, num_frames=settings.frames,
        tubelet_size=settings.tubelet, use_mean_pooling=False, **_transformer(settings),
    )  # fmt: skip
    network = transformers.VideoMAEModel(config)
    processor = transformers.VideoMAEImageProcessor(**_pixels(settings))
    return Trainable(
        VideoMAE(new_spec(settings, settings.width), network, NOWHERE), _save(network, processor)
    )


def build_timesformer(settings: CheckpointSettings) -> Trainable:
    """TimeSformer with divided attention, without a head."""
    config = transformers.TimesformerConfig(
        image_size=settings.size, patch_size=settings.patch, num_frames=settings.frames,
        **_transformer(settings),
    )  # fmt: skip
    network = transformers.TimesformerModel(config)
    # transformers starts the times at zero and the places near it: patches can hardly be told apart then.
    for positions in (network.embeddings.time_embeddings, network.embeddings.position_embeddings):
        torch.nn.init.normal_(positions)
    processor = transformers.VideoMAEImageProcessor(**_pixels(settings))
    return Trainable(
        TimeSformer(new_spec(settings, settings.width), network, NOWHERE), _save(network, processor)
    )


def build_vivit(settings: CheckpointSettings) -> Trainable:
    """ViViT, without a head."""
    config = transformers.VivitConfig(
        image_size=settings.size, tubelet_size=[settings.tubelet, settings.patch, settings.patch],
        num_frames=settings.frames, **_transformer(settings),
    )  # fmt: skip
    network = transformers.VivitModel(config, add_pooling_layer=False)
    processor = transformers.VivitImageProcessor(**_pixels(settings), offset=False, rescale_factor=1 / 255)
    return Trainable(ViViT(_spec(settings, processor), network, NOWHERE), _save(network, processor))


def build_vjepa2(settings: CheckpointSettings) -> Trainable:
    """V-JEPA 2; its predictor, which nothing here uses, keeps its random weights."""
    config = transformers.VJEPA2Config(
        crop_size=settings.size, patch_size=settings.patch, frames_per_clip=settings.frames,
        tubelet_size=settings.tubelet, hidden_size=settings.width, num_attention_heads=settings.heads,
        num_hidden_layers=settings.layers, mlp_ratio=MLP, initializer_range=SPREAD,
        pred_hidden_size=24, pred_num_attention_heads=2, pred_num_hidden_layers=1,
    )  # fmt: skip
    network = transformers.VJEPA2Model(config)
    processor = transformers.VJEPA2VideoProcessor(**_pixels(settings))
    return Trainable(VJEPA2(_spec(settings, processor), network.encoder, NOWHERE), _save(network, processor))


def _transformer(settings: CheckpointSettings) -> dict[str, Any]:
    return {
        "hidden_size": settings.width,
        "num_hidden_layers": settings.layers,
        "num_attention_heads": settings.heads,
        "intermediate_size": MLP * settings.width,
        "initializer_range": SPREAD,
    }


def _pixels(settings: CheckpointSettings) -> dict[str, Any]:
    """How a processor of the library cuts the square that the network sees."""
    return {
        "size": {"shortest_edge": round(settings.size / settings.crop)},
        "crop_size": {"height": settings.size, "width": settings.size},
        "image_mean": list(MEAN),
        "image_std": list(STD),
    }


def _spec(settings: CheckpointSettings, processor: Any) -> BackboneSpec:
    return new_spec(settings, settings.width, processor.size["shortest_edge"])


def _save(network: transformers.PreTrainedModel, processor: Any) -> Any:
    def save(folder: Path) -> None:
        library_logging.disable_progress_bar()
        network.save_pretrained(folder)
        processor.save_pretrained(folder)

    return save
