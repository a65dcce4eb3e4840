"""Runs of methods by the functions that the scripts call, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidkd.config.base import Section
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.methods.predict import predict
from vidkd.methods.train import Job, train


def texts(paths: Sequence[Path]) -> tuple[str, ...]:
    return tuple(map(str, paths))


def train_run(
    method: str, settings: Section, needs: Needs, folder: Path, run: str = "test", **more: Any
) -> Path:
    """Train one run; gives its folder."""
    given = {"seed": 0, "stamp": "a", "about": {"method": method, "run": run}} | more
    train(method, Job(settings, Inputs(needs), folder, **given))
    return folder


def predict_run(method: str, needs: Needs, folder: Path, settings: Mapping[str, Any] | None = None) -> Path:
    """Write predictions.csv and efficiency.json into a folder; gives the first."""
    files = folder / "predictions.csv", folder / "efficiency.json"
    predict(method, Inputs(needs), settings or {}, *files)
    return files[0]


def files(folder: Path) -> dict[str, bytes]:
    """Every file that a run wrote, without its provenance."""
    found = [path for path in folder.iterdir() if path.is_file() and "provenance" not in path.name]
    return {path.name: path.read_bytes() for path in found}
