"""What training on cached features saves: the same head trained both ways, and what a step waits for data.

End to end, whole wall times: an attentive probe trained for 20 epochs by decoding every video and running the
frozen network on it each time, against extraction once and 20 epochs on the cache. Both must end with the
same weights to the last bit. Then the share of a training step that is spent waiting for the prefetch thread,
and what gathering a batch costs beside a step, on tokens (16 x 768) and pooled features (1 x 768), float16,
batches of 32, one thread. Run: `make bench`.
"""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from bench_decode import generate
from bench_extract import TINY, videomae
from torch import Tensor, nn

from vidkd.backbones.extract import cache_shard
from vidkd.backbones.protocol import pool
from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
from vidkd.config.data import FrameSettings
from vidkd.data.clips import clip_loader
from vidkd.data.extract import extract_shard
from vidkd.data.frames import FrameStore
from vidkd.data.views import ViewedClips
from vidkd.engine.logging import Waiting
from vidkd.features.batches import FeatureBatches, FeatureJoin
from vidkd.features.meta import FeatureMeta
from vidkd.features.store import FeatureStore
from vidkd.features.writer import feature_writer
from vidkd.methods.probes.model import AttentiveProbe, LinearProbe
from vidkd.methods.probes.settings import AttentiveSettings

EPOCHS, VIDEOS, CLASSES, SEED = 20, 12, 4, 0
ROWS, WIDTH, BATCH, STEPS = 4000, 768, 32, 150
RESULTS = Path(__file__).parent / "results" / "cached.csv"
FILES = {"a.mp4": ("libx264", (320, 240), 300, {}), "b.mp4": ("libx264", (320, 240), 240, {"g": "12"})}

Steps = Iterator[tuple[Tensor, Tensor]]


def decoding_store(folder: Path) -> Path:
    """A frame store that keeps no pixels: every clip is decoded from its video."""
    for name, recipe in FILES.items():
        generate(folder, name, *recipe)
    rows = [
        [f"{number:02}", name, "train", number % CLASSES, "ok", FILES[name][2]]
        for number, name in zip(range(VIDEOS), list(FILES) * VIDEOS, strict=False)
    ]
    probe = folder / "probe.csv"
    with probe.open("w", newline="") as stream:
        csv.writer(stream).writerows([["video_id", "path", "split", "label_id", "status", "frames"], *rows])
    extract_shard(probe, "train", folder, folder / "none.h5", FrameSettings(per_video=16, encoding="none"))
    return folder / "none.h5"


def train(head: nn.Module, steps: Steps) -> dict[str, Tensor]:
    """The head's weights after its steps."""
    optimizer = torch.optim.AdamW(head.parameters(), 1e-3)
    for feature_BND, label_B in steps:
        nn.functional.cross_entropy(head(feature_BND), label_B).backward()
        optimizer.step()
        optimizer.zero_grad()
    return head.state_dict()


def new_head(width: int, classes: int) -> AttentiveProbe:
    """The same one each time."""
    torch.manual_seed(SEED)
    return AttentiveProbe(width, classes, AttentiveSettings())


def from_videos(store: FrameStore, settings: BackboneSettings, order: FeatureBatches) -> Steps:
    """Video mode: each batch is decoded by a worker and seen by the network, as in extraction."""
    backbone = load_backbone(settings)
    clips = ViewedClips(store, 16, backbone.spec.size, backbone.spec.crop)
    for epoch in range(EPOCHS):
        rows = [batch.row.tolist() for batch in order.batches(epoch, 0)]
        for batch in clip_loader(clips, 1, batch_sampler=rows):
            tokens = torch.cat([backbone(clip_TCHW[None]) for clip_TCHW in batch.clips[16]])
            yield pool(tokens, settings.tokens), batch.label


def from_cache(data: FeatureBatches) -> Steps:
    """Cached mode."""
    for epoch in range(EPOCHS):
        for batch in data.batches(epoch, 0):
            yield batch.features["x"], batch.label


def end_to_end(folder: Path) -> list[dict[str, object]]:
    """Seconds of both ways, and how much faster the cache is, with its extraction and without."""
    frames_h5, settings = decoding_store(folder), videomae(folder / "network", **TINY)
    width = TINY["hidden_size"]
    start = time.perf_counter()
    cache_shard(frames_h5, "x", settings, folder / "x.h5", workers=1)
    extracted = time.perf_counter() - start
    data = FeatureBatches(FeatureJoin({"x": FeatureStore([folder / "x.h5"])}), 4, SEED)
    cached = train(new_head(width, CLASSES), from_cache(data))
    both = time.perf_counter() - start
    start = time.perf_counter()
    video = train(new_head(width, CLASSES), from_videos(FrameStore([frames_h5]), settings, data))
    decoded = time.perf_counter() - start
    assert all(torch.equal(cached[name], video[name]) for name in cached), "the two modes disagree"
    what = {"what": f"{EPOCHS} epochs of {VIDEOS} videos"}
    return [
        what | {"way": "video mode", "seconds": decoded, "ratio": 1.0},
        what | {"way": "cached, with extraction", "seconds": both, "ratio": decoded / both},
        what | {"way": "cached, once extracted", "seconds": both - extracted,
                "ratio": decoded / (both - extracted)},
    ]  # fmt: skip


def random_join(folder: Path, steps: int) -> FeatureJoin:
    """A cache of random features."""
    path, random = folder / f"random_{steps}.h5", np.random.default_rng(SEED)
    meta = FeatureMeta("x", "", {}, "time", 16, "float16", "none", "")
    with feature_writer(path, meta, ROWS) as writer:
        for video in range(ROWS):
            row = random.standard_normal((steps, WIDTH), np.float32)
            writer.add(f"{video:06}", video % 100, np.arange(16), False, row)
    return FeatureJoin({"x": FeatureStore([path])})


def load_share(join: FeatureJoin, head: nn.Module, name: str) -> dict[str, object]:
    """Share of a training loop's time that it waits, and what a batch costs to gather, beside a step."""
    data, waiting = FeatureBatches(join, BATCH, SEED), Waiting()

    def steps(count: int) -> Steps:
        endless = (batch for epoch in range(count) for batch in data.batches(epoch, 0))
        for _, batch in zip(range(count), waiting.each(endless), strict=False):
            yield batch.features["x"], batch.label

    train(head, steps(50))  # warms up
    waiting.seconds = 0.0
    start = time.perf_counter()
    train(head, steps(STEPS))
    taken = time.perf_counter() - start
    plan = [np.random.default_rng(k).permutation(ROWS)[:BATCH] for k in range(STEPS)]
    start = time.perf_counter()
    for rows in plan:
        join.batch(rows)
    gathered = time.perf_counter() - start
    return {
        "what": "load of a step", "way": name, "step_ms": 1e3 * taken / STEPS,
        "waiting_percent": 100 * waiting.seconds / taken, "gather_percent": 100 * gathered / taken,
    }  # fmt: skip


def main() -> None:
    """Measure, print and write the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens, pooled = random_join(folder, 16), random_join(folder, 1)
        rows = [
            load_share(tokens, new_head(WIDTH, 100), "attentive probe, 16 x 768"),
            load_share(pooled, new_head(WIDTH, 100), "attentive probe, 1 x 768"),
            load_share(pooled, LinearProbe(WIDTH, 100), "linear probe, 1 x 768"),
        ]
        rows = end_to_end(folder) + rows
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.2f}".format))
    RESULTS.parent.mkdir(exist_ok=True)
    table.to_csv(RESULTS, index=False, float_format="%.3f")


if __name__ == "__main__":
    main()
