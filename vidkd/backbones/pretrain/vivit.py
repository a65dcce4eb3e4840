"""A small ViViT of transformers, with the preprocessing that the library saves beside it."""

from __future__ import annotations

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which transformers imports

# isort: split

import transformers

from vidkd.backbones.pretrain.of_transformers import pixels, saver, transformer, video_spec
from vidkd.backbones.pretrain.trainable import NOWHERE, Trainable
from vidkd.backbones.vivit import ViViT
from vidkd.config.checkpoints import CheckpointSettings


def build(settings: CheckpointSettings) -> Trainable:
    """ViViT, without a head."""
    config = transformers.VivitConfig(
        image_size=settings.size, tubelet_size=[settings.tubelet, settings.patch, settings.patch],
        num_frames=settings.frames, **transformer(settings),
    )  # fmt: skip
    network = transformers.VivitModel(config, add_pooling_layer=False)
    processor = transformers.VivitImageProcessor(**pixels(settings), offset=False, rescale_factor=1 / 255)
    return Trainable(ViViT(video_spec(settings, processor), network, NOWHERE), saver(network, processor))
