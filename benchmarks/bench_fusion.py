"""What a step of a fusion head costs in both modes, by part, and whole trainings in video and cached mode.

A student and three teachers, resampler converters and a gated head of default settings, one thread, batches
of 32 and 256. By part: loading, the student (decoded from h264 of 320x240, in video mode), converting, the
head forwards, and backwards with the step. `step_ms` is the loop as it is, with the thread that gathers
ahead, and `waiting_percent` the share of it that waits. Features of the size of ViT-B, 8 x 768 and pooled,
float16, are random; those of video mode are of a VideoMAE of 2 layers. Then whole trainings, with statistics,
validation and predictions: both modes must write the same bytes. Run: `make bench`.
"""

from __future__ import annotations

import csv
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from bench_cached import FILES
from bench_decode import generate
from bench_extract import TINY, videomae
from torch import Tensor

from vidkd.backbones.extract import cache_shard
from vidkd.backbones.live import LiveFeatures, live_splits
from vidkd.config.backbones import BackboneSettings
from vidkd.config.data import FrameSettings
from vidkd.data.extract import extract_shard
from vidkd.engine.logging import Waiting
from vidkd.features.batches import FeatureBatch, FeatureBatches, FeatureJoin, FeatureSource
from vidkd.features.meta import FeatureMeta
from vidkd.features.store import FeatureStore
from vidkd.features.writer import feature_writer
from vidkd.methods.converters.convert import ConvertedFeatures, convert
from vidkd.methods.converters.load import load_converter
from vidkd.methods.converters.settings import ConverterSettings
from vidkd.methods.fusion.method import Fuse
from vidkd.methods.fusion.model import FusionHead
from vidkd.methods.fusion.settings import FusionSettings
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs, Network, Store
from vidkd.methods.predict import predict
from vidkd.methods.train import Job, train

BATCHES, ROWS, SEED, CLASSES = (32, 256), 2048, 0, 20
STEPS = {32: 60, 256: 12}
STUDENT, TEACHERS = "student", ("a", "b", "c")
VIDEOS = {"train": 256, "val": 8, "test": 8}
EPOCHS = 1
NETWORK = TINY | {"num_hidden_layers": 2}
"""Smaller than any that is used: what video mode costs at least."""
RESULTS = Path(__file__).parent / "results" / "fusion.csv"
COLUMNS = (
    "what", "mode", "batch", "load_ms", "student_ms", "convert_ms", "fuse_ms", "backward_ms", "step_ms",
    "load_percent", "convert_percent", "waiting_percent", "seconds", "ratio",
)  # fmt: skip

Parts = dict[str, float]
Splits = dict[str, Path]


def random_cache(path: Path, name: str, ids: list[str], shape: tuple[int, int], dtype: str) -> Path:
    """Random features of these videos."""
    random = np.random.default_rng(list(f"{name} {path.parent.name}".encode()))
    meta = FeatureMeta(name, "00" * 32, {}, "time", 16, dtype, "none", "")
    path.parent.mkdir(parents=True, exist_ok=True)
    with feature_writer(path, meta, len(ids)) as writer:
        for number, video_id in enumerate(ids):
            row = random.standard_normal(shape, np.float32)
            writer.add(video_id, number % CLASSES, np.arange(16), False, row)
    return path


def stores(caches: Mapping[str, Splits]) -> dict[str, dict[str, Store]]:
    """Caches as a step is given them."""
    return {name: {split: str(file) for split, file in of.items()} for name, of in caches.items()}


def converters(folder: Path, caches: Mapping[str, Splits]) -> dict[str, Path]:
    """A converter for each teacher, as trained as it matters here: not at all."""
    found = {}
    for teacher in TEACHERS:
        needs = Needs(features=stores({name: caches[name] for name in (STUDENT, teacher)}))
        about = {"method": "converters", "run": f"resampler.{teacher}"}
        settings = ConverterSettings(epochs=0, batch_size=8)
        train("converters", Job(settings, Inputs(needs), folder / teacher, 0, "", about=about))
        found[teacher] = folder / teacher / "model.safetensors"
    return found


def converting(weights: Mapping[str, Path], student: FeatureSource) -> dict[str, ConvertedFeatures]:
    """What converters make of the student's features when a batch asks for it."""
    return {
        teacher: ConvertedFeatures.of(student, load_converter(path), path)
        for teacher, path in weights.items()
    }


def new_method(sources: Mapping[str, FeatureSource]) -> Fuse:
    """The head of default settings."""
    torch.manual_seed(SEED)
    head = FusionHead({name: of.shape for name, of in sources.items()}, CLASSES, FusionSettings())
    return Fuse(head, {}, STUDENT, FusionSettings().gate_sparsity)


def timed(parts: Parts, name: str, run: Callable[[], Any]) -> Any:
    """What `run` gives; its milliseconds are added to a part."""
    start = time.perf_counter()
    found = run()
    parts[name] = parts.get(name, 0.0) + 1e3 * (time.perf_counter() - start)
    return found


def gathered(sources: Mapping[str, FeatureSource], rows: np.ndarray, parts: Parts) -> FeatureBatch:
    """A batch, and what loading, the student and converting took."""
    student, features = sources[STUDENT], dict[str, Tensor]()
    for name, source in sources.items():
        part = "convert_ms" if isinstance(source, ConvertedFeatures) else "load_ms"
        features[name] = timed(parts, part, partial(source.rows, rows))
    if isinstance(student, LiveFeatures):
        waited, student.waiting.seconds = 1e3 * student.waiting.seconds, 0.0
        parts |= {"load_ms": waited, "student_ms": parts["load_ms"] - waited}
    label_B = torch.from_numpy(student.label_ids[rows].astype(np.int64))
    return FeatureBatch(features, label_B, torch.from_numpy(rows))


def by_part(sources: Mapping[str, FeatureSource], batch: int, steps: int, warm_up: int = 1) -> Parts:
    """Median milliseconds of each part of a step, one after the other; `warm_up` steps do not count."""
    method, generator = new_method(sources), torch.Generator()
    optimizer, found = torch.optim.AdamW(method.parameters(), 1e-3), list[Parts]()
    for number in range(warm_up + steps):
        rows = np.random.default_rng(number).permutation(len(sources[STUDENT].video_ids))
        parts: Parts = {}
        given = gathered(sources, rows[:batch], parts)
        loss = timed(parts, "fuse_ms", lambda given=given: sum(method(given, generator).values()))
        timed(parts, "backward_ms", loss.backward)
        timed(parts, "backward_ms", optimizer.step)
        optimizer.zero_grad()
        found.append(parts)
    return {name: statistics.median(parts[name] for parts in found[warm_up:]) for name in found[0]}


def as_it_is(sources: Mapping[str, FeatureSource], batch: int, steps: int) -> Parts:
    """Milliseconds of a step of the loop as it is, and the share that it waits for batches."""
    method, generator, waiting = new_method(sources), torch.Generator(), Waiting()
    optimizer = torch.optim.AdamW(method.parameters(), 1e-3)
    data = FeatureBatches(FeatureJoin(sources), batch, SEED)

    def batches(count: int) -> Iterator[FeatureBatch]:
        endless = (given for epoch in range(count) for given in data.batches(epoch, 0))
        return (given for _, given in zip(range(count), waiting.each(endless), strict=False))

    def train(count: int) -> float:
        start = time.perf_counter()
        for given in batches(count):
            sum(method(given, generator).values()).backward()
            optimizer.step()
            optimizer.zero_grad()
        return 1e3 * (time.perf_counter() - start) / count

    train(2)
    waiting.seconds = 0.0
    taken = train(steps)
    return {"step_ms": taken, "waiting_percent": 1e5 * waiting.seconds / (taken * steps)}


def row(what: str, mode: str, batch: int, parts: Parts) -> dict[str, object]:
    """A line of the table: shares are of the sum of the parts."""
    whole = sum(value for name, value in parts.items() if name.endswith("_ms") and name != "step_ms")
    shares = {"load_percent": 100 * parts["load_ms"] / whole}
    shares |= {"convert_percent": 100 * parts.get("convert_ms", 0.0) / whole}
    line = {"what": what, "mode": mode, "batch": batch, **parts, **shares}
    print(", ".join(f"{k} {v:.2f}" if isinstance(v, float) else str(v) for k, v in line.items()), flush=True)
    return line


def cached_steps(folder: Path, what: str, shape: tuple[int, int]) -> list[dict[str, object]]:
    """Steps on cached features of real size, with converted features cached and without."""
    ids = {"train": [f"{k:05}" for k in range(ROWS)], "val": ["x", "y"]}
    caches = {
        name: {split: random_cache(folder / name / f"{split}.h5", name, of, shape, "float16")
               for split, of in ids.items()}
        for name in (STUDENT, *TEACHERS)
    }  # fmt: skip
    weights = converters(folder / "converters", caches)
    student = FeatureStore([caches[STUDENT]["train"]])
    modes: dict[str, dict[str, FeatureSource]] = {
        "cached, converted once": {n: FeatureStore([caches[n]["train"]]) for n in (STUDENT, *TEACHERS)},
        "cached, converted now": {STUDENT: student, **converting(weights, student)},
    }
    found = []
    for batch in BATCHES:
        for mode, sources in modes.items():
            steps = STEPS[batch] if "once" in mode else max(4, STEPS[batch] // 10)
            parts = by_part(sources, batch, steps)
            found.append(row(what, mode, batch, parts | as_it_is(sources, batch, steps)))
    return found


def filmed(folder: Path) -> tuple[dict[str, Path], BackboneSettings, dict[str, Splits]]:
    """Frame stores that keep no pixels, a small student, its cache, and random caches of teachers."""
    for name, recipe in FILES.items():
        generate(folder, name, *recipe)
    settings, frames = videomae(folder / "network", **NETWORK), dict[str, Path]()
    caches: dict[str, Splits] = {name: {} for name in (STUDENT, *TEACHERS)}
    for split, count in VIDEOS.items():
        ids = [f"{split}_{number:04}" for number in range(count)]
        named = zip(ids, range(count), list(FILES) * count, strict=False)
        rows = [[video_id, name, split, k % CLASSES, "ok", FILES[name][2]] for video_id, k, name in named]
        header = ["video_id", "path", "split", "label_id", "status", "frames"]
        with (folder / "probe.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *rows])
        frames[split] = folder / split / "none.h5"
        kept = FrameSettings(per_video=16, encoding="none")
        extract_shard(folder / "probe.csv", split, folder, frames[split], kept)
        caches[STUDENT][split] = folder / split / "student.h5"
        cache_shard(frames[split], STUDENT, settings, caches[STUDENT][split])
        shape = FeatureStore([caches[STUDENT][split]]).shape
        for name in TEACHERS:
            caches[name][split] = random_cache(folder / split / f"{name}.h5", name, ids, shape, "float32")
    return frames, settings, caches


def both_modes(folder: Path) -> list[dict[str, object]]:
    """Steps in video mode and in cached mode of the same videos, then whole trainings."""
    frames, settings, caches = filmed(folder)
    weights = converters(folder / "converters", caches)
    converted: dict[str, Splits] = {}
    for name, path in weights.items():
        converted[name] = {split: folder / "converted" / name / f"{split}.h5" for split in VIDEOS}
        needs = Needs(features=stores({STUDENT: caches[STUDENT]}), weights={"converter": (str(path),)})
        convert(Inputs(needs), converted[name])
    found, what = [], "8 x 192, 300 frames decoded"
    for batch in BATCHES:
        live = live_splits({"train": [frames["train"]]}, settings, STUDENT)["train"]
        video: dict[str, FeatureSource] = {STUDENT: live, **converting(weights, live)}
        cached = {STUDENT: caches[STUDENT], **converted}
        kept: dict[str, FeatureSource] = {name: FeatureStore([of["train"]]) for name, of in cached.items()}
        slow = row(what, "video", batch, by_part(video, batch, steps=1, warm_up=0))
        parts = by_part(kept, batch, STEPS[batch])
        fast = row(what, "cached, converted once", batch, parts | as_it_is(kept, batch, STEPS[batch]))
        slow["step_ms"] = sum(v for k, v in slow.items() if k.endswith("_ms"))  # type: ignore[misc]
        fast["ratio"] = slow["step_ms"] / fast["step_ms"]  # type: ignore[operator]
        found += [slow, fast, *whole_trainings(folder, batch, frames, settings, weights, cached)]
    return found


def whole_trainings(
    folder: Path,
    batch: int,
    frames: Mapping[str, Path],
    settings: BackboneSettings,
    weights: Mapping[str, Path],
    cached: Mapping[str, Splits],
) -> list[dict[str, object]]:
    """Seconds of both modes from the first byte to the predictions, which must be the same."""
    own = FusionSettings(epochs=EPOCHS, batch_size=batch, sweep={}, teachers=TEACHERS)
    classes = folder / "classes.json"
    classes.write_text("[" + ", ".join(f'"{number}"' for number in range(CLASSES)) + "]")
    taken = {}
    video = {
        "features": {STUDENT: {}}, "networks": {STUDENT: Network(settings=settings)},
        "frames": {split: str(file) for split, file in frames.items()},
    }  # fmt: skip
    given = {name: (str(file),) for name, file in weights.items()}
    for mode, read in (("video", video), ("cached", {"features": stores(cached)})):
        start, run_dir = time.perf_counter(), folder / f"{mode}{batch}"
        needs = Needs(classes=str(classes), weights=given, **read)
        about = {"method": "fusion", "run": "bench"}
        train("fusion", Job(own, Inputs(needs), run_dir, SEED, "", about=about))
        head = {"head": (str(run_dir / "model.safetensors"),)}
        inputs = Inputs(needs.model_copy(update={"weights": given | head}))
        predict("fusion", inputs, {}, run_dir / "predictions.csv", run_dir / "efficiency.json")
        taken[mode] = time.perf_counter() - start
    for name in ("model.safetensors", "predictions.csv"):
        one, other = ((folder / f"{mode}{batch}" / name).read_bytes() for mode in taken)
        assert one == other, f"the two modes disagree in {name}"
    what = f"{EPOCHS} epoch of {VIDEOS['train']} videos, whole training"
    return [
        {"what": what, "mode": mode, "batch": batch, "seconds": seconds, "ratio": taken["video"] / seconds}
        for mode, seconds in taken.items()
    ]


def main() -> None:
    """Measure, print and write the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = cached_steps(folder / "tokens", "8 x 768 float16", (8, 768))
        rows += cached_steps(folder / "pooled", "1 x 768 float16", (1, 768))
        rows += both_modes(folder)
    table = pd.DataFrame(rows, columns=COLUMNS)
    print(table.to_string(index=False, float_format="{:.2f}".format))
    RESULTS.parent.mkdir(exist_ok=True)
    table.to_csv(RESULTS, index=False, float_format="%.3f")


if __name__ == "__main__":
    main()
