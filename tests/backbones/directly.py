"""Networks run by their own libraries, on pixels that these made."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which all three import

# isort: split

import open_clip
import timm
import transformers


def tokens(folder: Path, network: str, processor: str, clip_BTCHW: Tensor) -> Tensor:
    """The last hidden state (B, N, D) of a network of transformers."""
    loaded = getattr(transformers, network).from_pretrained(folder).eval()
    prepare = getattr(transformers, processor).from_pretrained(folder)
    videos = [list(clip_TCHW.permute(0, 2, 3, 1).numpy()) for clip_TCHW in clip_BTCHW]
    with torch.no_grad():
        return loaded(prepare(videos, return_tensors="pt")["pixel_values"]).last_hidden_state


def vjepa2_tokens(folder: Path, clip_BTCHW: Tensor) -> Tensor:
    """Those of V-JEPA 2, of frames at the crop's size: the processor's resizing and cropping are left out."""
    processor = transformers.VJEPA2VideoProcessor.from_pretrained(folder)
    pixels = processor(videos=list(clip_BTCHW), do_resize=False, return_tensors="pt")["pixel_values_videos"]
    network = transformers.VJEPA2Model.from_pretrained(folder).eval()
    with torch.no_grad():
        return network(pixels, skip_predictor=True).last_hidden_state


def open_clip_frames(folder: Path, clip_BTCHW: Tensor) -> Tensor:
    """Embeddings (B x T, D) of frames."""
    network, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    with torch.no_grad():
        return network.eval().encode_image(torch.stack([preprocess(frame) for frame in images(clip_BTCHW)]))


def timm_frames(folder: Path, clip_BTCHW: Tensor) -> Tensor:
    """Pooled features (B x T, D) of frames."""
    network = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network), is_training=False)
    with torch.no_grad():
        batch = torch.stack([transform(frame) for frame in images(clip_BTCHW)])
        return network.forward_head(network.forward_features(batch), pre_logits=True)


def images(clip_BTCHW: Tensor) -> list[Image.Image]:
    return [Image.fromarray(frame.permute(1, 2, 0).numpy()) for frame in clip_BTCHW.flatten(0, 1)]
