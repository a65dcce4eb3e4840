"""What it costs to hold frames against their sums when they are read: a share of an epoch, and of extraction.

`first_epoch` and `later_epochs` are the seconds of an epoch of loading alone, over those of a reader whose
frames count as checked already; `training` is the same with a network of NETWORK_S a batch and ten epochs,
by calculation from these. `store` is the sum of what lies beside the frames, over writing the whole shard.
Pairs are interleaved; figures are medians. Run: `make bench`.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import h5py
import pandas as pd
from bench_loader import NETWORK_S, RESULTS, SOURCES, batches, write_stores, write_videos

from vidkd.config.data import FrameSettings
from vidkd.data.extract import extract_shard
from vidkd.data.frames import FrameStore
from vidkd.data.hdf5 import checksum

ROUNDS, EPOCHS = 5, 10


def epoch(store: FrameStore, number: int) -> float:
    """Seconds of an epoch of loading without workers."""
    start = time.perf_counter()
    for _ in batches(store, 0).batches(number, 0):
        pass
    return time.perf_counter() - start


def checked(path: Path) -> FrameStore:
    """A store whose frames count as checked."""
    store = FrameStore([path])
    for shard in store._shards:
        shard.pixels._checked[:] = True  # type: ignore[attr-defined]
    return store


def row(folder: Path, encoding: str) -> dict[str, object]:
    """The costs with one encoding."""
    path, first, later, plain = folder / f"{encoding}.h5", [], [], []
    for number in range(ROUNDS):
        store = FrameStore([path])
        plain.append(epoch(checked(path), number))
        first.append(epoch(store, number))
        later.append(epoch(store, number))
    steps = batches(FrameStore([path]), 0).steps_per_epoch
    before, extra = statistics.median(plain), statistics.median(first) - statistics.median(plain)
    settings = FrameSettings(per_video=32, short_side=240, encoding=encoding)
    start = time.perf_counter()
    extract_shard(folder / "probe.csv", "train", folder, folder / "again.h5", settings)
    extraction = time.perf_counter() - start
    with h5py.File(path) as file:
        start = time.perf_counter()
        checksum(file, "data")
        of_store = time.perf_counter() - start
    return {
        "source": encoding,
        "first_epoch": statistics.median(f / p for f, p in zip(first, plain, strict=True)),
        "later_epochs": statistics.median(one / p for one, p in zip(later, plain, strict=True)),
        "training": 1 + extra / (EPOCHS * (before + steps * NETWORK_S)),
        "store": 1 + of_store / extraction,
    }


def main() -> None:
    """Write `results/checks.csv`."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_videos(folder)
        write_stores(folder)
        table = pd.DataFrame([row(folder, encoding) for encoding in SOURCES if encoding != "none"])
    table.to_csv(RESULTS / "checks.csv", index=False, float_format="%.4f")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
