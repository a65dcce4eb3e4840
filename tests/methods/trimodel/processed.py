"""What a user of seed 002 has: `processed_dataset` of real videos, and the two networks where they belong."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import torch
import transformers

from tests.backbones.checkpoints import MEAN, STD
from tests.methods.trimodel.assisted import save_amd
from vidkd.config.checkpoints import CheckpointSettings
from vidkd.data.demo import write_video

COLOURS = {"A": (210, 60, 50), "B-1": (60, 190, 70), "G": (60, 80, 220)}
COUNTS = {"train": 4, "val": 2, "test": 2}
"""Videos of each class."""

COMMIT = hashlib.sha1(b"a commit").hexdigest()
WIDTH, PATCH, TUBELET, SIZE, FRAMES = 384, 56, 2, 224, 16
"""AMD's width, pixels and frames, with coarse tokens: 128 of a clip."""


def write_dataset(root: Path, size: int = 64, frames: int = 20) -> Path:
    """`train.csv`, `val.csv`, `test.csv` with lines `videos/x.mp4 LABEL`; a label is a colour below noise."""
    rng = np.random.default_rng(0)
    for split, count in COUNTS.items():
        lines = []
        for label, colour in COLOURS.items():
            for number in range(count):
                name = f"videos/{split}_{label}_{number}.mp4"
                noise = rng.normal(0, 40, (frames, size // 8, size // 8, 3))
                frame = np.kron(noise, np.ones((1, 8, 8, 1))) + np.array(colour)
                (root / "videos").mkdir(parents=True, exist_ok=True)
                write_video(frame.clip(0, 255).astype(np.uint8), root / name, fps=10, crf=20)
                lines.append(f"{name} {label}\n")
        (root / f"{split}.csv").write_text("".join(lines))
    return root


def write_videomae(cache: Path) -> Path:
    """`MCG-NJU/videomae-base` as the hub's client caches it, much smaller; its folder."""
    repository = cache / "models--MCG-NJU--videomae-base"
    folder = repository / "snapshots" / COMMIT
    torch.manual_seed(1)
    config = transformers.VideoMAEConfig(
        image_size=SIZE, patch_size=PATCH, num_frames=FRAMES, tubelet_size=TUBELET, use_mean_pooling=False,
        hidden_size=64, num_hidden_layers=3, num_attention_heads=2, intermediate_size=96,
        initializer_range=0.1,
    )  # fmt: skip
    transformers.VideoMAEModel(config).save_pretrained(folder)
    crop = {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}}
    transformers.VideoMAEImageProcessor(**crop, image_mean=MEAN, image_std=STD).save_pretrained(folder)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(COMMIT)
    return folder


def write_amd(file: Path, width: int = WIDTH, heads: int = 6) -> Path:
    """A checkpoint in the layout of AMD's, by default of its width, with three layers."""
    torch.manual_seed(2)
    settings = CheckpointSettings(
        kind="videomae", layout="original", size=SIZE, patch=PATCH, tubelet=TUBELET, frames=FRAMES,
        width=width, layers=3, heads=heads, crop=1,
    )  # fmt: skip
    save_amd(settings, file.parent / "made")
    shutil.move(file.parent / "made/pytorch_model.bin", file)
    shutil.rmtree(file.parent / "made")
    return file
