"""Small converters, trained."""

from __future__ import annotations

from pathlib import Path

from tests.methods.converters.cached import Shards, inputs_of
from vidkd.methods.converters.settings import ConverterSettings
from vidkd.methods.train import Job, train

ABOUT = {"converter": "small", "student": "vjepa2", "teacher": "videomae"}
SMALL = ConverterSettings(epochs=3, batch_size=32, width=16, heads=2, dropout=0.1)


def trained(
    shards: Shards,
    run_dir: Path,
    settings: ConverterSettings = SMALL,
    *,
    teacher: str = "videomae",
    seed: int = 0,
) -> Path:
    """The weights of a finished run."""
    inputs = inputs_of({name: shards[name] for name in ("vjepa2", teacher)})
    about = {"method": "converters", "run": f"small.{teacher}"}
    train("converters", Job(settings, inputs, run_dir, seed, "a", about=about))
    return run_dir / "model.safetensors"


def changed(**settings: object) -> ConverterSettings:
    return SMALL.model_copy(update=settings)
