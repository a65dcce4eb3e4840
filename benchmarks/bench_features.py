"""What it costs to read cached features: 10,000 x 16 x 768 float16 in shards of 1,000, warm, batches of 32.

CPU time of the whole process, as ratios inside interleaved rounds, the order reversed each round; figures are
medians. The limit is numpy's own `memmap[rows]` on one plain file of the same rows. Private memory is of a
new process that reads every row once in random order: `anonymous` is what it allocated, `uss` has besides the
pages of the page cache that no other process happens to map. Cold: what the disk reads, with nothing in
memory. Run: `make bench`.
"""

from __future__ import annotations

import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset

from vidkd.data.shards import find_feature_shards
from vidkd.features.batches import FeatureBatches, FeatureJoin, Order, shuffled, shuffled_by_shard
from vidkd.features.meta import FeatureMeta
from vidkd.features.store import FeatureStore
from vidkd.features.writer import feature_writer

ROUNDS = 9
VIDEOS, SHARD, WIDTH, BATCH = 10_000, 1_000, 768, 32
BACKBONES = ("clip", "videomae", "timesformer", "vjepa2")
RESULTS = Path(__file__).parent / "results"

Ways = dict[str, Callable[[], object]]


def write_store(folder: Path, steps: int, seed: int) -> FeatureStore:
    """A store of random features, and the same rows as one plain file."""
    random = np.random.default_rng(seed)
    meta = FeatureMeta(f"b{seed}", "", {}, "time", 16, "float16", "none", "")
    with (folder / "plain").open("wb") as plain:
        for start in range(0, VIDEOS, SHARD):
            with feature_writer(folder / f"shard_{start // SHARD}.h5", meta, SHARD) as writer:
                for video in range(start, start + SHARD):
                    row = random.standard_normal((steps, WIDTH), np.float32).astype(np.float16)
                    writer.add(f"{video:06}", video % 100, np.arange(16), False, row)
                    plain.write(row.tobytes())
    return FeatureStore(find_feature_shards([folder]))


def compare(ways: Ways, times: int, limit: str) -> list[dict[str, object]]:
    """CPU time of each way, and the median of its ratio to `limit`."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name in ways if number % 2 else reversed(ways):
            start = time.process_time()
            for _ in range(times):
                ways[name]()
            if number:  # the first round warms up
                found[name].append((time.process_time() - start) / times)
    return [
        {
            "way": name,
            "cpu_ms": 1e3 * statistics.median(taken),
            "ratio": statistics.median(t / r for t, r in zip(taken, found[limit], strict=True)),
            "to": limit,
        }
        for name, taken in found.items()
    ]


def random_batches(store: FeatureStore, folder: Path, kind: str) -> list[dict[str, object]]:
    """One random batch of one backbone."""
    memmap = np.memmap(folder / "plain", np.float16, "r", shape=(VIDEOS, *store.shape))
    random = np.random.default_rng(0)
    plan = cycle([random.integers(0, VIDEOS, BATCH) for _ in range(500)])
    out = np.empty((BATCH, *store.shape), np.float16)
    with h5py.File(folder / "shard_0.h5") as file:

        def by_h5py() -> None:
            for place, row in enumerate(next(plan)):
                out[place] = file["features"][row % SHARD]

        def by_loop() -> None:
            for place, row in enumerate(next(plan)):
                out[place] = memmap[row]

        ways: Ways = {
            "memmap[rows]": lambda: memmap[next(plan)],
            "memmap, row by row": by_loop,
            "store.rows": lambda: store.rows(next(plan)),
            "h5py, row by row": by_h5py,
        }
        return [{"what": f"random batch, {kind}", **row} for row in compare(ways, 300, "memmap[rows]")]


class NaiveFeatures(Dataset):
    """`h[backbone][i]`, as a first version would be written: one open file a backbone."""

    def __init__(self, folders: list[Path]) -> None:
        self.files = [h5py.File(folder / "shard_0.h5") for folder in folders]

    def __len__(self) -> int:
        return SHARD

    def __getitem__(self, i: int) -> tuple[list[torch.Tensor], int]:
        rows = [torch.from_numpy(file["features"][i]) for file in self.files]
        return rows, int(self.files[0]["label_id"][i])


def joined_batches(folders: list[Path]) -> list[dict[str, object]]:
    """A batch of four backbones, as the training loop gets it."""
    stores = {
        name: FeatureStore([folder / "shard_0.h5"]) for name, folder in zip(BACKBONES, folders, strict=True)
    }
    data = FeatureBatches(FeatureJoin(stores), BATCH, 0)
    loader = DataLoader(NaiveFeatures(folders), BATCH, shuffle=True, drop_last=True)

    def endless(epochs: Callable[[int], Iterator[object]]) -> Iterator[object]:
        return (batch for epoch in range(10**6) for batch in epochs(epoch))

    ours, naive = endless(lambda epoch: data.batches(epoch, 0)), endless(lambda _: iter(loader))
    ways: Ways = {"FeatureBatches": lambda: next(ours), "DataLoader over h[b][i]": lambda: next(naive)}
    return [{"what": "batch of four backbones", **row} for row in compare(ways, 62, "FeatureBatches")]


def sequential(store: FeatureStore, folder: Path) -> list[dict[str, object]]:
    """All rows in order, in batches, against pickled shards of the original project: arrays, or tensors.

    Nothing that copies rows into batches can beat memory itself: the plain file, copied batch by batch.
    """
    plain = np.memmap(folder / "plain", np.float16, "r", shape=(VIDEOS, *store.shape))
    paths: dict[str, list[Path]] = {"array": [], "tensor": []}
    for start in range(0, VIDEOS, SHARD):
        rows = store.rows(range(start, start + SHARD))
        for kind, found in paths.items():
            features = rows.numpy() if kind == "array" else [row.clone() for row in rows]
            path = folder / f"{kind}_{start}.pkl"
            records = [{"path": str(i), "label": 0, "student": row} for i, row in enumerate(features)]
            path.write_bytes(pickle.dumps(records))
            found.append(path)

    def by_pickle(kind: str) -> None:
        for path in paths[kind]:
            with path.open("rb") as stream:
                records = pickle.load(stream)
            for start in range(0, SHARD, BATCH):
                torch.stack([torch.as_tensor(r["student"]) for r in records[start : start + BATCH]])

    def ours() -> None:
        for start in range(0, VIDEOS, BATCH):
            store.rows(range(start, min(start + BATCH, VIDEOS)))

    def copied() -> None:
        for start in range(0, VIDEOS, BATCH):
            np.array(plain[start : start + BATCH])

    ways: Ways = {
        "copy of memory": copied,
        "store.rows": ours,
        "pickled arrays": lambda: by_pickle("array"),
        "pickled tensors": lambda: by_pickle("tensor"),
    }
    return [{"what": "all rows in order", **row} for row in compare(ways, 1, "store.rows")]


def cold(folder: Path, name: str, order: Order, part: int) -> dict[str, object]:
    """Bytes that the disk gives for each byte that is used, when nothing is in memory yet.

    In any order the first `part`th of an epoch tells that: what a cache larger than memory costs. No page may
    be mapped when this begins, or the system keeps it.
    """
    files = find_feature_shards([folder])
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    join = FeatureJoin({"x": FeatureStore(files)})
    rows = order(join, np.random.default_rng(0))[: VIDEOS // part]
    before, start = from_disk(), time.perf_counter()
    used = sum(
        batch.features["x"].nbytes for batch in join.gathered(np.array_split(rows, len(rows) // BATCH))
    )
    taken = time.perf_counter() - start
    ratio = (from_disk() - before) / used
    return {"what": "cold", "way": name, "ratio": ratio, "to": "bytes used", "mb_s": used / taken / 1e6}


def from_disk() -> int:
    """Bytes that this process has had from the disk."""
    words = Path("/proc/self/io").read_text().split()
    return int(words[words.index("read_bytes:") + 1])


MEMORY = """
import sys
from pathlib import Path
import numpy as np, torch
from vidkd.features.store import FeatureStore
from vidkd.data.shards import find_feature_shards
def memory():
    sizes = dict.fromkeys(("Private_Clean", "Private_Dirty", "Anonymous", "Rss"), 0)
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split()[:2]
        if name[:-1] in sizes:
            sizes[name[:-1]] = int(value) / 1024
    return np.array([sizes["Anonymous"], sizes["Private_Clean"] + sizes["Private_Dirty"], sizes["Rss"]])
before = memory()
store = FeatureStore(find_feature_shards([Path(sys.argv[1])]))
for rows in np.random.default_rng(0).permutation(len(store)).reshape(-1, 25):
    batch = store.rows(rows)
print(*(memory() - before))
"""


def private_memory(folder: Path) -> list[dict[str, object]]:
    """What a process grows by, in MB, that opens the store and reads all of it."""
    command = [sys.executable, "-c", MEMORY, str(folder)]
    found = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(3)]
    grown = np.median([[float(word) for word in text.split()] for text in found], axis=0)
    kinds = ("anonymous", "uss", "rss")
    return [{"what": "memory", "way": kind, "mb": mb} for kind, mb in zip(kinds, grown, strict=True)]


def main() -> None:
    """Measure, print and write the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name, kind) for kind in ("tokens", "pooled", *BACKBONES[1:])]
        for folder in folders:
            folder.mkdir()
        tokens, pooled, *_ = (
            write_store(folder, 1 if folder.name == "pooled" else 16, seed)
            for seed, folder in enumerate(folders)
        )
        rows = random_batches(tokens, folders[0], "16 x 768") + random_batches(pooled, folders[1], "1 x 768")
        rows += joined_batches([folders[0], *folders[2:]])
        rows += sequential(tokens, folders[0]) + private_memory(folders[0])
        del tokens
        rows.append(cold(folders[0], "any order, 1 of 100", shuffled, 100))
        rows.append(cold(folders[0], "shard after shard", shuffled_by_shard, 1))
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.3f}".format))
    RESULTS.mkdir(exist_ok=True)
    table.to_csv(RESULTS / "features.csv", index=False, float_format="%.3f")


if __name__ == "__main__":
    main()
