"""Small converters, trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.methods.converters.cached import Shards
from vidkd.methods.converters.settings import ConverterSettings
from vidkd.methods.converters.train import train

ABOUT = {"converter": "small", "student": "vjepa2", "teacher": "videomae"}
SMALL = ConverterSettings(epochs=3, batch_size=32, width=16, heads=2, dropout=0.1)


def trained(shards: Shards, run_dir: Path, settings: ConverterSettings = SMALL, **more: Any) -> Path:
    """The weights of a finished run."""
    train(settings, shards, run_dir, ABOUT, **({"seed": 0, "stamp": "a"} | more))
    return run_dir / "model.safetensors"


def changed(**settings: Any) -> ConverterSettings:
    return SMALL.model_copy(update=settings)
