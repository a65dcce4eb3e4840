"""A small VideoMAE of transformers, with the preprocessing that the library saves beside it."""

from __future__ import annotations

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which transformers imports

# isort: split

import transformers

from vidkd.backbones.pretrain.of_transformers import pixels, saver, transformer, video_spec
from vidkd.backbones.pretrain.trainable import NOWHERE, Trainable
from vidkd.backbones.videomae import VideoMAE
from vidkd.config.checkpoints import CheckpointSettings


def build(settings: CheckpointSettings) -> Trainable:
    """VideoMAE, without a head."""
    config = transformers.VideoMAEConfig(
        image_size=settings.size, patch_size=settings.patch, num_frames=settings.frames,
        tubelet_size=settings.tubelet, use_mean_pooling=False, **transformer(settings),
    )  # fmt: skip
    network = transformers.VideoMAEModel(config)
    processor = transformers.VideoMAEImageProcessor(**pixels(settings))
    return Trainable(VideoMAE(video_spec(settings, processor), network, NOWHERE), saver(network, processor))
