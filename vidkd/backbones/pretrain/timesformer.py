"""A small TimeSformer of transformers, with the preprocessing that the library saves beside it."""

from __future__ import annotations

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which transformers imports

# isort: split

import torch
import transformers

from vidkd.backbones.pretrain.of_transformers import pixels, saver, transformer, video_spec
from vidkd.backbones.pretrain.trainable import NOWHERE, Trainable
from vidkd.backbones.timesformer import TimeSformer
from vidkd.config.checkpoints import CheckpointSettings


def build(settings: CheckpointSettings) -> Trainable:
    """TimeSformer with divided attention, without a head."""
    config = transformers.TimesformerConfig(
        image_size=settings.size, patch_size=settings.patch, num_frames=settings.frames,
        **transformer(settings),
    )  # fmt: skip
    network = transformers.TimesformerModel(config)
    # transformers starts the times at zero and the places near it: patches can hardly be told apart then.
    for positions in (network.embeddings.time_embeddings, network.embeddings.position_embeddings):
        torch.nn.init.normal_(positions)
    processor = transformers.VideoMAEImageProcessor(**pixels(settings))
    return Trainable(
        TimeSformer(video_spec(settings, processor), network, NOWHERE), saver(network, processor)
    )
