"""A small VideoMAE of transformers, saved by the library, or in the layout of the original code.

In the original layout it is the network of a fine-tuned AMD file, which has no norm after its last layer but
one of the mean of the tokens, `fc_norm`. That norm is trained and saved; the classifiers after it are dropped
as those of any kind are, so that the file has no `head`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which transformers imports

# isort: split

import torch
import transformers

from vidkd.backbones import amd
from vidkd.backbones.huggingface import CONFIG
from vidkd.backbones.pretrain.of_transformers import pixels, saver, transformer, video_spec
from vidkd.backbones.pretrain.trainable import NOWHERE, Trainable
from vidkd.backbones.source import OF_TRANSFORMERS
from vidkd.backbones.videomae import VideoMAE
from vidkd.config.checkpoints import CheckpointSettings


def build(settings: CheckpointSettings) -> Trainable:
    """VideoMAE, without a head."""
    processor = transformers.VideoMAEImageProcessor(**pixels(settings))
    spec = video_spec(settings, processor)
    if settings.layout == "original":
        model = amd.new_network(_config(settings, use_mean_pooling=True, num_labels=0))
        save = _original_saver(model, processor)
        return Trainable(VideoMAE(spec, model.videomae, NOWHERE), save, model.get_submodule("fc_norm"))
    network = transformers.VideoMAEModel(_config(settings, use_mean_pooling=False))
    return Trainable(VideoMAE(spec, network, NOWHERE), saver(network, processor))


def _config(settings: CheckpointSettings, **more: Any) -> transformers.VideoMAEConfig:
    return transformers.VideoMAEConfig(
        image_size=settings.size, patch_size=settings.patch, num_frames=settings.frames,
        tubelet_size=settings.tubelet, **transformer(settings), **more,
    )  # fmt: skip


def _original_saver(
    model: transformers.VideoMAEForVideoClassification, processor: Any
) -> Callable[[Path], None]:
    """A function that writes an original file into a folder, and beside it what such a file does not say."""

    def save(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Through memory: on a full disk torch itself fails with an error that does not say so.
        content = io.BytesIO()
        torch.save({"module": amd.original_state(model)}, content)
        (folder / OF_TRANSFORMERS[1]).write_bytes(content.getbuffer())
        beside = {name: getattr(model.config, name) for name in amd.BESIDE}
        (folder / CONFIG).write_text(json.dumps(beside, indent=2) + "\n", encoding="utf-8")
        processor.save_pretrained(folder)

    return save
