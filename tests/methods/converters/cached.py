"""Small caches of a student and a teacher that see the same videos, as real files.

What they see is a few numbers of each video, so that one network's features do tell the other's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.data.feature_files import META
from tests.methods.probes.cached import label_of, write
from vidkd.features.meta import FeatureMeta
from vidkd.features.store import FeatureStore
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs

COUNTS = {"train": 96, "val": 24, "test": 30}
SEEN = 4
"""Numbers of a video that networks see."""
SHAPES = {"vjepa2": (4, 6), "videomae": (8, 5)}
METAS = {
    "vjepa2": replace(META, backbone="vjepa2", dtype="float32"),
    "videomae": replace(META, backbone="videomae", dtype="float32", weights_sha256="ef" * 32),
}
Shards = dict[str, dict[str, list[Path]]]


def video_ids(split: str) -> list[str]:
    return [f"{split}_{number:03d}" for number in range(COUNTS[split])]


def feature_of(backbone: str, video_id: str, noise: float = 0.1) -> np.ndarray:
    """Tokens (N, D) of a video: what it shows, seen by a network, a little noisy; far from mean 0."""
    steps, width = SHAPES[backbone]
    video = np.random.default_rng(list(video_id.encode()))
    network = np.random.default_rng(list(backbone.encode()))
    shown = video.normal(size=SEEN) + np.linspace(-1, 1, steps)[:, None] * video.normal(size=SEEN)
    seen = np.tanh(shown @ network.normal(size=(SEEN, width))) * 2 + network.normal(size=width)
    own = np.random.default_rng(list(f"{backbone} {video_id}".encode()))
    return (seen + noise * own.normal(size=(steps, width))).astype(np.float32)


Feature = Callable[[str, str], np.ndarray]


def write_split(
    folder: Path,
    backbone: str,
    names: list[str],
    n_shards: int = 2,
    meta: FeatureMeta | None = None,
    feature: Feature = feature_of,
) -> list[Path]:
    """Shards of these videos; which one a video is in has nothing to do with its name."""
    random = np.random.default_rng(n_shards)
    parts: list[dict[str, tuple[int, np.ndarray]]] = [{} for _ in range(n_shards)]
    for name in sorted(names):
        parts[random.integers(n_shards)][name] = label_of(name), feature(backbone, name)
    folder.mkdir(parents=True, exist_ok=True)
    own = meta or METAS[backbone]
    return [write(folder / f"shard_{k}.h5", part, own) for k, part in enumerate(parts)]


def make_pair(folder: Path, n_shards: int = 2, **more: object) -> Shards:
    """Three splits of both networks, by name and split."""
    return {
        backbone: {
            split: write_split(folder / backbone / split, backbone, video_ids(split), n_shards, **more)  # type: ignore[arg-type]
            for split in COUNTS
        }
        for backbone in SHAPES
    }


def rows_by_id(files: list[Path]) -> dict[str, np.ndarray]:
    """Every row of a cache."""
    store = FeatureStore(files)
    rows = store.rows(range(len(store))).numpy()
    return dict(zip(store.video_ids, rows, strict=True))


def inputs_of(
    shards: Mapping[str, Mapping[str, Sequence[Path]]], weights: Mapping[str, Path] | None = None, **more: Any
) -> Inputs:
    """What a step is given: shards by network and split, and weights by name."""
    features = {
        name: {split: tuple(map(str, files)) for split, files in splits.items()}
        for name, splits in shards.items()
    }
    runs = {name: (str(file),) for name, file in (weights or {}).items()}
    return Inputs(Needs(features=features, weights=runs, **more))


def options(shards: Mapping[str, Mapping[str, list[Path]]], *splits: str) -> list[str]:
    """Folders of features, as the commands take them."""
    return [
        f"--feature-stores={name}.{split}={shards[name][split][0].parent}"
        for name in shards
        for split in splits or ("train", "val")
    ]
