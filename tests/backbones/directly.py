"""Networks of transformers run by transformers itself, on pixels that its own processor made."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which transformers imports

# isort: split

import transformers


def tokens(folder: Path, network: str, processor: str, clip_BTCHW: Tensor) -> Tensor:
    """The last hidden state (B, N, D)."""
    loaded = getattr(transformers, network).from_pretrained(folder).eval()
    prepare = getattr(transformers, processor).from_pretrained(folder)
    videos = [list(clip_TCHW.permute(0, 2, 3, 1).numpy()) for clip_TCHW in clip_BTCHW]
    with torch.no_grad():
        return loaded(prepare(videos, return_tensors="pt")["pixel_values"]).last_hidden_state
