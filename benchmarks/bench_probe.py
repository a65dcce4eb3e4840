"""What the data stage costs: files probed a second with 1 and 2 processes, and time and memory by videos.

Videos are 320 x 240 and 60 frames long, an H.264 MP4, a VP9 WebM and an MPEG-4 AVI copied many times and read
warm; 16 frames of 128 pixels are extracted of each, raw. Tables are those of a data set in the layout of the
csv adapter, in 100 shards. Run: `make bench`.
"""

from __future__ import annotations

import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import av
import numpy as np

from vidkd.config.data import DataSettings, FrameSettings
from vidkd.data.adapters.registry import write_listing
from vidkd.data.manifest import build_manifest
from vidkd.data.probe import COLUMNS, probe_shard
from vidkd.data.tables import iter_rows, shard_files, write_rows

FILES, ROUNDS = 2000, 5
EXTRACTED = (100, 1000)
ROWS = (10_000, 100_000, 1_000_000)
RESULTS = Path(__file__).parent / "results" / "probe.csv"
CODECS = {"mp4": "libx264", "webm": "libvpx-vp9", "avi": "mpeg4"}


def write_video(path: Path, codec: str) -> Path:
    """A scene that moves: smooth noise, shifted by two pixels a frame."""
    coarse = np.random.default_rng(0).integers(0, 256, (16, 40, 3), np.uint8)
    scene = np.repeat(np.repeat(coarse, 15, axis=0), 15, axis=1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(60):
            image = np.ascontiguousarray(scene[:240, 2 * number : 2 * number + 320])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_data_set(folder: Path) -> None:
    """FILES videos, listed in two shards."""
    sources = [write_video(folder / f"source.{suffix}", codec) for suffix, codec in CODECS.items()]
    rows: list[list[dict[str, str]]] = [[], []]
    for number in range(FILES):
        source = sources[number % len(sources)]
        name = f"v{number:04}{source.suffix}"
        shutil.copyfile(source, folder / name)
        rows[number % 2].append({"video_id": name, "path": name, "label": "x", "split": "train", "group": ""})
    for file, shard in zip(shard_files(folder, 2), rows, strict=True):
        write_rows(file, shard, list(shard[0]))
    (folder / "classes.json").write_text('["x"]')


def probe(folder: Path, shards: Sequence[int]) -> None:
    """Probe `shards`, each in a process of its own."""
    jobs = [
        multiprocessing.Process(
            target=probe_shard,
            args=(folder / f"shard_{k}.csv", folder / "classes.json", k, folder, folder / f"probe_{k}.csv"),
        )
        for k in shards
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
        assert job.exitcode == 0


def probing(folder: Path) -> list[dict[str, object]]:
    """Files a second, interleaved, the order reversed each round; medians without the first round."""
    write_data_set(folder)
    contestants: dict[str, Callable[[], object]] = {
        "probe, 1 process": lambda: [probe(folder, [k]) for k in (0, 1)],
        "probe, 2 processes": lambda: probe(folder, [0, 1]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(ROUNDS + 1):
        for name in list(contestants)[:: 1 if number % 2 else -1]:
            start = time.perf_counter()
            contestants[name]()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    return [
        {"what": name, "rows": FILES, "seconds": s, "rows_per_s": FILES / s} for name, s in medians.items()
    ]


def extract_step(folder: Path, rows: int) -> None:
    """What the rule extract_frames does with a shard of `rows` videos."""
    from vidkd.data.extract import extract_shard  # torch, which the steps on tables go without

    shard = folder / "extracted.csv"
    write_rows(shard, islice(iter_rows(folder / "probe_0.csv"), rows), COLUMNS)
    settings = FrameSettings(per_video=16, short_side=128, encoding="raw")
    extract_shard(shard, "train", folder, folder / "frames.h5", settings)


def extraction(folder: Path) -> list[dict[str, object]]:
    """Extraction of a small and a large shard."""
    found = {rows: measured(partial(extract_step, rows=rows), folder) for rows in EXTRACTED}
    return [
        {"what": "extract_frames", "rows": rows, "seconds": s, "rows_per_s": rows / s, "peak_mb": mb}
        for rows, (s, mb) in found.items()
    ]


def write_lists(folder: Path, rows: int) -> None:
    """Split files of `rows` videos of 400 classes."""
    shares = {"train": 0.9, "val": 0.05, "test": 0.05}
    start = 0
    for split, share in shares.items():
        end = start + round(share * rows)
        with (folder / f"{split}.csv").open("w") as stream:
            stream.writelines(
                f"{split}/{n % 400:03}/video_{n:07}.mp4,class {n % 400:03}\n" for n in range(start, end)
            )
        start = end


def list_step(folder: Path) -> None:
    """What the rule list_videos does."""
    settings = DataSettings(adapter="csv", n_shards=100)
    write_listing(settings, folder, folder, folder / "videos", folder / "classes.json")


def probe_without_files(folder: Path, n_shards: int = 100) -> None:
    """What probing the listed videos would write."""
    found = {
        "label_id": "0",
        "frames": "60",
        "fps": "30.0",
        "width": "320",
        "height": "240",
        "duration": "2.0",
    }
    found |= {"codec": "h264", "rotation": "0", "status": "ok", "reason": "", "detail": ""}
    for number, file in enumerate(shard_files(folder / "videos", n_shards)):
        values = dict.fromkeys(COLUMNS, "") | found | {"shard": str(number)}
        write_rows(folder / "probe" / file.name, (values | row for row in iter_rows(file)), COLUMNS)


def manifest_step(folder: Path) -> None:
    """What the rule build_manifest does."""
    settings = DataSettings(adapter="csv", n_shards=100)
    build_manifest(folder / "probe", folder / "classes.json", folder / "manifest.csv", settings)


def measured(step: Callable[[Path], None], folder: Path) -> tuple[float, float]:
    """Seconds and peak memory in MB of a step in a fresh process."""
    results: multiprocessing.Queue[tuple[float, float]] = multiprocessing.get_context("spawn").Queue()
    job = multiprocessing.get_context("spawn").Process(target=_timed, args=(step, folder, results))
    job.start()
    taken = results.get()
    job.join()
    return taken


def _timed(
    step: Callable[[Path], None], folder: Path, results: multiprocessing.Queue[tuple[float, float]]
) -> None:
    start = time.perf_counter()
    step(folder)
    seconds = time.perf_counter() - start
    # Not ru_maxrss, which a new program inherits from the one that started it.
    status = Path("/proc/self/status").read_text()
    results.put((seconds, int(status.partition("VmHWM:")[2].split()[0]) / 1024))


def tables(folder: Path, rows: int) -> list[dict[str, object]]:
    """Listing and joining of `rows` videos."""
    write_lists(folder, rows)
    measured_steps = {"list_videos": measured(list_step, folder)}
    probe_without_files(folder)
    measured_steps["build_manifest"] = measured(manifest_step, folder)
    return [
        {"what": name, "rows": rows, "seconds": s, "rows_per_s": rows / s, "peak_mb": mb}
        for name, (s, mb) in measured_steps.items()
    ]


def main() -> None:
    """Measure, print and write the table."""
    import pandas as pd  # see extract_step

    found: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        found += probing(Path(folder))
        found += extraction(Path(folder))
    for rows in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            found += tables(Path(folder), rows)
    table = pd.DataFrame(found)
    print(table.to_string(index=False, float_format="{:.1f}".format, na_rep=""))
    RESULTS.parent.mkdir(exist_ok=True)
    table.to_csv(RESULTS, index=False, float_format="%.2f")


if __name__ == "__main__":
    main()
