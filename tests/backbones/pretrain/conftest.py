"""A few real source videos, listed, probed and decoded as the workflow does it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.engine.conftest import _own_process_state  # noqa: F401 - for every test here
from vidkd.config.checkpoints import SourceSettings
from vidkd.config.data import SPLITS, DataSettings, FrameSettings
from vidkd.data.adapters.registry import write_listing
from vidkd.data.demo import generate_split
from vidkd.data.extract import extract_shard
from vidkd.data.probe import probe_shard


class Source(NamedTuple):
    """Files of the source."""

    annotations: list[Path]
    classes: Path
    train: list[Path]
    val: list[Path]


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Source:
    """36 training and 12 validation videos."""
    root = tmp_path_factory.mktemp("source")
    settings = SourceSettings(train=36, val=12, frames=16).demo
    for split in SPLITS:
        generate_split(settings, split, root / split, root / f"{split}.csv")
    classes = root / "classes.json"
    write_listing(DataSettings(adapter="demo", n_shards=1), root, root, root / "videos", classes)
    probe_shard(root / "videos/shard_0.csv", classes, 0, root, root / "probe.csv")
    kept = FrameSettings(per_video=8, short_side=56, encoding="raw")
    stores = {split: root / f"{split}.h5" for split in ("train", "val")}
    for split, store in stores.items():
        extract_shard(root / "probe.csv", split, root, store, kept)
    return Source([root / "train.csv", root / "val.csv"], classes, [stores["train"]], [stores["val"]])
