"""Small caches of features in which a class can be seen, as real files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.data.feature_files import META
from vidkd.features.batches import FeatureJoin
from vidkd.features.meta import FeatureMeta
from vidkd.features.writer import feature_writer
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.methods.predict import predict
from vidkd.methods.probes.rows import ProbeRows, open_rows, open_test
from vidkd.methods.probes.settings import ProbeRun
from vidkd.methods.train import Job, train

CLASSES = ["ant", "bee", "cat"]
STEPS, WIDTH = 4, 6
COUNTS = {"train": 60, "val": 24, "test": 30}
FLOAT32 = replace(META, dtype="float32")


def video_ids(split: str) -> list[str]:
    return [f"{split}_{number:03d}" for number in range(COUNTS[split])]


def label_of(video_id: str, classes: int = len(CLASSES)) -> int:
    return int(video_id[-3:]) % classes


def feature_of(video_id: str, label: int, noise: float = 1.5) -> np.ndarray:
    """Tokens (STEPS, WIDTH) around a place that the class decides."""
    random = np.random.default_rng(list(video_id.encode()))
    centre = 3.0 + np.eye(WIDTH)[label] * 1.5
    return (centre + noise * random.normal(size=(STEPS, WIDTH))).astype(np.float32)


def write(path: Path, rows: Mapping[str, tuple[int, np.ndarray]], meta: FeatureMeta = FLOAT32) -> Path:
    """A shard with these labels and features by video id."""
    with feature_writer(path, meta, len(rows)) as writer:
        for video_id in sorted(rows):
            label, row = rows[video_id]
            writer.add(video_id, label, np.arange(meta.frames), False, row)
    return path


@dataclass
class Cache:
    """Shards by split, all of a split in one folder, and the class names."""

    shards: dict[str, list[Path]]
    classes: Path

    def inputs(self, labels: Path | None = None, **more: Any) -> Inputs:
        """What a step of a run reads: the features of all splits."""
        features = {"clip": {split: str(files[0].parent) for split, files in self.shards.items()}}
        label = {"label": "animal", "labels": labels and str(labels)}
        return Inputs(Needs(features=features, classes=str(self.classes), **label, **more))

    def open(self, labels: Path | None = None) -> ProbeRows:
        return open_rows(self.inputs(labels))

    def test(self, labels: Path | None = None) -> FeatureJoin:
        return open_test(self.inputs(labels))

    def turn_round(self) -> None:
        """Give the shards of every split each other's names."""
        for files in self.shards.values():
            moved = [file.rename(file.with_suffix(".moved")) for file in files]
            for file, name in zip(moved, reversed(files), strict=True):
                file.rename(name)


def job(cache: Cache, folder: Path, settings: ProbeRun, seed: int = 0, stamp: str = "a") -> Job:
    """A training as the workflow asks for it."""
    return Job(settings, cache.inputs(), folder, seed, stamp, about={"method": "probes", "run": "run"})


def fit(cache: Cache, folder: Path, settings: ProbeRun, **more: Any) -> Path:
    """Fit a head, and write its run into `folder`."""
    train("probes", job(cache, folder, settings, **more))
    return folder


def predict_test(cache: Cache, folder: Path) -> Path:
    """Predict the test split with the head in `folder`; returns the predictions."""
    inputs = cache.inputs(weights={"run": (str(folder / "model.safetensors"),)})
    predict("probes", inputs, {}, folder / "predictions.csv", folder / "efficiency.json")
    return folder / "predictions.csv"


def make_cache(folder: Path, classes: list[str] = CLASSES, n_shards: int = 2) -> Cache:
    """Three splits of `n_shards` shards each; which shard a video is in has nothing to do with its name."""
    shards: dict[str, list[Path]] = {}
    for split in COUNTS:
        random = np.random.default_rng(1)
        parts: list[dict[str, tuple[int, np.ndarray]]] = [{} for _ in range(n_shards)]
        for video_id in video_ids(split):
            label = label_of(video_id, len(classes))
            parts[random.integers(n_shards)][video_id] = label, feature_of(video_id, label)
        (folder / split).mkdir(parents=True, exist_ok=True)
        shards[split] = [write(folder / split / f"shard_{k}.h5", part) for k, part in enumerate(parts)]
    (folder / "classes.json").write_text(json.dumps(classes))
    return Cache(shards, folder / "classes.json")
