"""What several test modules need: small real frame stores of demo videos, and settings of a small network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck
from hypothesis import settings as examples

from vidkd.config.data import DemoSettings, FrameSettings
from vidkd.data.demo_drawing import render
from vidkd.data.demo_specs import MOTIONS, video_spec
from vidkd.data.frame_writer import StoredClip, frame_writer
from vidkd.methods.ffn.settings import FFNSettings

# Other work on the machine makes an example slow, and is no failure.
examples.register_profile("vidkd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
examples.load_profile("vidkd")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole runs first, so that at the end no worker is alone with one that takes minutes."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)


CLASSES = sorted(MOTIONS)
FRAMES = FrameSettings(per_video=16, short_side=48, encoding="raw")


@dataclass(frozen=True)
class Stores:
    """Frame stores of 24 training and 12 validation clips (48x48, 16 frames), and their class file."""

    train: list[Path]
    val: list[Path]
    classes: Path


def write_store(path: Path, split: str, indices: range) -> Path:
    """A frame store of rendered demo videos."""
    demo = DemoSettings(frames=16, size=48)
    with frame_writer(path, FRAMES, "rendered, not decoded") as writer:
        for index in indices:
            spec = video_spec(demo, split, index)
            frames = render(spec)
            order = np.arange(16, dtype=np.int32)
            label = CLASSES.index(spec.motion)
            clip = StoredClip(spec.video_id, label, order, order / 16.0, padded=False, size=(48, 48))
            writer.add(clip, [frame.tobytes() for frame in frames])
    return path


@pytest.fixture(scope="session")
def stores(tmp_path_factory) -> Stores:
    folder = tmp_path_factory.mktemp("stores")
    classes = folder / "classes.json"
    classes.write_text(json.dumps(CLASSES))
    train = [write_store(folder / f"train_{k}.h5", "train", range(12 * k, 12 * k + 12)) for k in range(2)]
    return Stores(train, [write_store(folder / "val.h5", "val", range(12))], classes)


@pytest.fixture(scope="session")
def small() -> FFNSettings:
    """The demo's network on small clips, trained for two short epochs."""
    return FFNSettings(
        arch="resnet_tiny", epochs=2, batch_size=8, optimizer="adamw", lr=1e-3, size=32,
        crop_scales=(0.8, 1.0), shift_fraction=0.25, dropout=0.1,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
