"""Small feature shards of random rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from vidkd.features.meta import FeatureMeta
from vidkd.features.writer import feature_writer

META = FeatureMeta(
    backbone="clip", weights_sha256="ab" * 32, preprocessing={"size": 224, "mean": (0.5, 0.5, 0.5)},
    tokens="time", frames=4, dtype="float16", decoder="PyAV 18.1.0", frames_digest="cd" * 32,
    versions={"torch": "2.13.0"},
)  # fmt: skip
STEPS, WIDTH = 3, 5


def features_of(video_id: str, steps: int = STEPS, width: int = WIDTH) -> np.ndarray:
    """What a backbone would make of a video: always the same for one id."""
    return np.random.default_rng(list(video_id.encode())).normal(size=(steps, width)).astype(np.float32)


def label_of(video_id: str) -> int:
    return len(video_id) + ord(video_id[-1])


def write_shard(path: Path, video_ids: list[str], meta: FeatureMeta = META, **shape: int) -> Path:
    """A shard of these videos."""
    with feature_writer(path, meta, len(video_ids)) as writer:
        for video_id in sorted(video_ids):
            index = np.arange(meta.frames) * len(video_id)
            row = features_of(video_id, **shape)
            writer.add(video_id, label_of(video_id), index, video_id.startswith("s"), row)
    return path


def other(**changes: object) -> FeatureMeta:
    """META with other fields."""
    return replace(META, **changes)  # type: ignore[arg-type]
