"""What a training loop waits for its batches: frames stored raw, as JPEG, or decoded anew.

The network is a stand-in: a sleep of NETWORK_S for each batch, as a GPU computes while the CPU is free.
`load_s` is a step without it, `waiting` the share of a step with it that is spent waiting for the batch. The
first batch of an epoch, for which any loader must be waited for, is left out. Configurations are interleaved,
the order reversed each round; figures are medians. Run: `make bench`.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import av
import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from vidkd.config.clips import ClipSettings
from vidkd.config.data import FrameSettings
from vidkd.data.clips import Batch, ClipBatches, Sample, TrainingClips, collate
from vidkd.data.extract import extract_shard
from vidkd.data.frames import FrameStore
from vidkd.data.probe import COLUMNS
from vidkd.data.tables import write_rows

ROUNDS = 5
VIDEOS, FRAMES, HEIGHT, WIDTH = 40, 150, 240, 320
COUNTS, BATCH, SIZE = (4, 8, 16), 4, 112
NETWORK_S = 0.1
RESULTS = Path(__file__).parent / "results"
SOURCES = {"raw": "raw", "jpeg": "jpeg", "none": "decoded anew"}


def write_videos(folder: Path) -> None:
    """H.264 videos of a moving texture with noise: six seconds at 25 frames a second, one keyframe."""
    random = np.random.default_rng(0)
    texture = random.integers(0, 240, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    picture = texture.repeat(8, 0).repeat(8, 1)
    for number in range(VIDEOS):
        with av.open(str(folder / f"{number}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for k in range(FRAMES):
                noise = random.integers(0, 16, picture.shape, np.uint8)
                image = np.roll(picture, (k + number, 2 * k), (0, 1)) + noise
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))


def write_stores(folder: Path) -> dict[str, FrameStore]:
    """The same frames in each encoding, as extract_frames writes them."""
    values = {"split": "train", "status": "ok", "label_id": "0", "frames": str(FRAMES)}
    rows = [
        dict.fromkeys(COLUMNS, "") | values | {"video_id": f"{n:03}", "path": f"{n}.mp4"}
        for n in range(VIDEOS)
    ]
    write_rows(folder / "probe.csv", rows, COLUMNS)
    stores = {}
    for encoding in SOURCES:
        settings = FrameSettings(per_video=32, short_side=HEIGHT, encoding=encoding)
        extract_shard(folder / "probe.csv", "train", folder, folder / f"{encoding}.h5", settings)
        stores[encoding] = FrameStore([folder / f"{encoding}.h5"])
    return stores


def batches(store: FrameStore, workers: int) -> ClipBatches:
    """The training batches of an FFN."""
    return ClipBatches(TrainingClips(store, ["a"], COUNTS, ClipSettings(size=SIZE), 0), BATCH, 0, workers)


def waiting(data: ClipBatches, network_s: float, epoch: int) -> tuple[float, float]:
    """Seconds a step, and the share of it spent waiting for the batch."""
    waited = 0.0
    loaded = iter(data.batches(epoch, 0))
    next(loaded)
    start = time.perf_counter()
    for _ in range(data.steps_per_epoch - 1):
        time.sleep(network_s)
        asked = time.perf_counter()
        next(loaded)
        waited += time.perf_counter() - asked
    total = time.perf_counter() - start
    return total / (data.steps_per_epoch - 1), waited / total


def loader_table(stores: dict[str, FrameStore]) -> pd.DataFrame:
    """Waiting by source and workers, with the stand-in network and with none."""
    found: dict[tuple[str, int, float], list[tuple[float, float]]] = {}
    for number in range(ROUNDS):
        configurations = list(product(SOURCES, (0, 1, 2), (0.0, NETWORK_S)))
        for source, workers, network_s in configurations if number % 2 else reversed(configurations):
            measured = waiting(batches(stores[source], workers), network_s, number)
            found.setdefault((source, workers, network_s), []).append(measured)
    rows = []
    for source, workers in product(SOURCES, (0, 1, 2)):
        alone = [step for step, _ in found[source, workers, 0.0]]
        raw = [step for step, _ in found["raw", workers, 0.0]]
        rows.append(
            {
                "source": SOURCES[source],
                "workers": workers,
                "load_s": statistics.median(alone),
                "over_raw": statistics.median(a / r for a, r in zip(alone, raw, strict=True)),
                "network_s": NETWORK_S,
                "step_s": statistics.median(step for step, _ in found[source, workers, NETWORK_S]),
                "waiting": statistics.median(share for _, share in found[source, workers, NETWORK_S]),
            }
        )
    return pd.DataFrame(rows)


def stacked(samples: list[Sample]) -> Batch:
    """The plain way: gather each count's frames, stack the clips; torch then moves them to shared memory."""
    clips = {count: torch.stack([sample.clip(count) for sample in samples]) for count in COUNTS}
    return Batch(clips, torch.zeros(len(samples)), torch.zeros(len(samples)))


def collate_seconds(samples: list[Sample], way: Callable[[list[Sample]], Batch]) -> float:
    """Seconds a batch of these samples, made by one worker and received."""
    loader = DataLoader(samples, num_workers=1, collate_fn=way, batch_sampler=[range(len(samples))] * 9)  # type: ignore[arg-type]
    received = iter(loader)
    next(received)
    start = time.perf_counter()
    for _ in received:
        pass
    return (time.perf_counter() - start) / 8


def collate_table() -> pd.DataFrame:
    """Putting 16 clips of 28 frames, 224 pixels, into a batch: ours against the plain way."""
    random = np.random.default_rng(0)
    samples = [
        Sample(
            torch.from_numpy(random.integers(0, 256, (28, 3, 224, 224), np.uint8)),
            {count: torch.from_numpy(np.sort(random.integers(0, 28, count))) for count in COUNTS},
            0,
            row,
        )
        for row in range(16)
    ]
    ways = {"collate_s": collate, "stack_s": stacked}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS):
        for name in ways if number % 2 else reversed(ways):
            found[name].append(collate_seconds(samples, ways[name]))
    ratio = statistics.median(s / c for c, s in zip(found["collate_s"], found["stack_s"], strict=True))
    medians = {name: statistics.median(values) for name, values in found.items()}
    megabytes = len(samples) * sum(COUNTS) * 3 * 224**2 / 1e6
    return pd.DataFrame(
        [{"clips": len(samples), "megabytes": megabytes, **medians, "stack_over_collate": ratio}]
    )


def main() -> None:
    """Measure, print and write the tables."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write_videos(Path(folder))
        tables = {"loader": loader_table(write_stores(Path(folder))), "collate": collate_table()}
    RESULTS.mkdir(exist_ok=True)
    for name, table in tables.items():
        print(table.to_string(index=False, float_format="{:.4f}".format), end="\n\n")
        table.to_csv(RESULTS / f"{name}.csv", index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
