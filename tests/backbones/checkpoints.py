"""Small random checkpoints, saved by each library in its own format, as the hub has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which all three import

# isort: split

import open_clip
import timm
import transformers
from open_clip.push_to_hf_hub import save_config_for_hf
from timm.models import save_for_hf

from vidkd.config.backbones import BackboneSettings

SIZE = 32
"""Pixels of every small network's input."""

CLIP_CONFIG = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {"image_size": SIZE, "layers": 2, "width": 64, "patch_size": 8, "head_width": 32},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
VIDEO = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 96}
CROP = {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}}
MEAN, STD = [0.4, 0.5, 0.3], [0.2, 0.3, 0.25]


def scramble(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights and statistics far from any library's start, so that every one of them matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=generator)
                value.copy_(value * (1 + noise.abs()) if "running_var" in name else value + 0.1 * noise)
    return network.eval()


def make_clip(folder: Path) -> nn.Module:
    folder.mkdir(parents=True, exist_ok=True)
    network = scramble(open_clip.model.CLIP(**CLIP_CONFIG))
    save_file(network.state_dict(), folder / "open_clip_model.safetensors")
    open_clip.model.set_model_preprocess_cfg(network, {"size": SIZE, "mean": MEAN, "std": STD})
    save_config_for_hf(network, folder / "open_clip_config.json", model_config=CLIP_CONFIG)
    return network


def make_timm(folder: Path, architecture: str = "mobilevit_xxs") -> nn.Module:
    network = scramble(timm.create_model(architecture, pretrained=False, num_classes=5))
    data = {"input_size": (3, SIZE, SIZE), "mean": (0.1, 0.0, 0.2), "std": (1.0, 0.9, 1.0), "crop_pct": 1.0}
    save_for_hf(network, str(folder), safe_serialization=True, data_config=data)
    return network


def save_video(network: nn.Module, processor: object, folder: Path) -> nn.Module:
    scramble(network).save_pretrained(folder)
    processor.save_pretrained(folder)
    return network


def make_videomae(folder: Path, mean_pooling: bool = True) -> nn.Module:
    config = transformers.VideoMAEConfig(
        image_size=SIZE, patch_size=8, num_frames=8, use_mean_pooling=mean_pooling, num_labels=3, **VIDEO
    )
    network = transformers.VideoMAEForVideoClassification(config)
    processor = transformers.VideoMAEImageProcessor(**CROP, image_mean=MEAN, image_std=STD)
    return save_video(network, processor, folder)


def make_timesformer(folder: Path) -> nn.Module:
    config = transformers.TimesformerConfig(
        image_size=SIZE, patch_size=8, num_frames=4, num_labels=3, **VIDEO
    )
    network = transformers.TimesformerForVideoClassification(config)
    processor = transformers.VideoMAEImageProcessor(**CROP, image_mean=MEAN, image_std=STD)
    return save_video(network, processor, folder)


def make_vivit(folder: Path) -> nn.Module:
    config = transformers.VivitConfig(
        image_size=SIZE, tubelet_size=[2, 8, 8], num_frames=8, num_labels=3, **VIDEO
    )
    network = transformers.VivitForVideoClassification(config)
    return save_video(network, transformers.VivitImageProcessor(**CROP), folder)


def make_vjepa2(folder: Path) -> nn.Module:
    config = transformers.VJEPA2Config(
        crop_size=SIZE, patch_size=8, frames_per_clip=8, hidden_size=48, num_attention_heads=2,
        num_hidden_layers=2, mlp_ratio=2.0, pred_hidden_size=24, pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
    )  # fmt: skip
    processor = transformers.VJEPA2VideoProcessor(
        crop_size={"height": SIZE, "width": SIZE}, image_mean=MEAN, image_std=STD
    )
    return save_video(transformers.VJEPA2Model(config), processor, folder)


MAKERS: dict[str, Callable[[Path], nn.Module]] = {
    "clip": make_clip,
    "timm": make_timm,
    "videomae": make_videomae,
    "timesformer": make_timesformer,
    "vivit": make_vivit,
    "vjepa2": make_vjepa2,
}
"""One for each kind; it returns the network that it saved."""


def settings_of(kind: str, folder: Path, **more: object) -> BackboneSettings:
    return BackboneSettings(kind=kind, folder=str(folder), **more)


def clips(count: int, frames: int, size: int = SIZE, seed: int = 0) -> torch.Tensor:
    """Random uint8 clips (count, frames, 3, size, size)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, frames, 3, size, size), dtype=torch.uint8, generator=generator)


def edit_json(path: Path, **changes: object) -> None:
    """Change values of a JSON file; None takes one out."""
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
