"""What extraction costs beside the network: clips/s, and the share of the time that it waits for clips.

The whole of `cache_shard` on an h264 clip of 320x240 pixels, 10 s, 16 frames of it, with random weights and
several kinds of frame store: raw, jpeg, and none, which decodes. Medians over rounds whose order is reversed
each time. Where there is a GPU also the networks alone, at 16 x 224 x 224 in bf16: clips/s, and which share
of the chip's matrix rate that is; its table is another, written row by row. Run: `make bench`.
"""

from __future__ import annotations

import csv
import logging
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which transformers imports

# isort: split

import transformers
from bench_decode import generate

from vidkd.backbones.extract import cache_shard
from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
from vidkd.config.data import FrameSettings
from vidkd.data.extract import extract_shard

ROUNDS = 3
RESULTS = Path(__file__).parent / "results"
VIDEO = ("clip.mp4", "libx264", (320, 240), 300, {})
SMALL = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 6}
TINY = {"hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 4, "num_attention_heads": 3}
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "mlp_ratio": 4.0}
ROUNDS_GPU, PASSES = 5, 10
DENSE_BF16 = {"H200": 989.5e12, "H100": 989.5e12}
"""FLOP/s of a chip's matrix units in bf16 without sparsity: half of what NVIDIA's data sheets of the H200 and
the H100 (SXM) give with it, 1,979 TFLOPS."""

logging.getLogger("vidkd").setLevel(logging.INFO)


class Said(logging.Handler):
    """Keeps the numbers of the last line that extraction logged: videos, clips/s, percent waiting."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep them."""
        self.numbers = record.args[1:] if isinstance(record.args, tuple) else ()


def videomae(folder: Path, **size: int) -> BackboneSettings:
    """A VideoMAE for 16 x 224 x 224 with random weights."""
    network = transformers.VideoMAEModel(transformers.VideoMAEConfig(**size))
    network.save_pretrained(folder)
    transformers.VideoMAEImageProcessor().save_pretrained(folder)
    return BackboneSettings(kind="videomae", folder=str(folder))


def vjepa2(folder: Path) -> BackboneSettings:
    """V-JEPA 2's ViT-L for 16 x 224 x 224 with random weights; its predictor, never run here, is small."""
    config = transformers.VJEPA2Config(
        crop_size=224, frames_per_clip=16, pred_hidden_size=32, pred_num_attention_heads=2,
        pred_num_hidden_layers=1, **LARGE,
    )  # fmt: skip
    transformers.VJEPA2Model(config).save_pretrained(folder)
    size = {"height": 224, "width": 224}
    transformers.VJEPA2VideoProcessor(crop_size=size, size={"shortest_edge": 224}).save_pretrained(folder)
    return BackboneSettings(kind="vjepa2", folder=str(folder))


def frame_store(folder: Path, encoding: str, videos: int) -> Path:
    """A store of `videos` times the same video."""
    if not (folder / VIDEO[0]).exists():
        generate(folder, *VIDEO)
    probe = folder / "probe.csv"
    with probe.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["video_id", "path", "split", "label_id", "status", "frames"])
        writer.writerows([f"{number:04}", VIDEO[0], "train", 0, "ok", VIDEO[3]] for number in range(videos))
    output = folder / f"{encoding}_{videos}.h5"
    extract_shard(probe, "train", folder, output, FrameSettings(per_video=16, encoding=encoding))
    return output


def extraction(
    network: str, settings: BackboneSettings, stores: dict[str, Path], workers: Sequence[int], batch: int
) -> list[dict[str, object]]:
    """Clips/s and share of waiting of each store with each number of workers, whole runs interleaved."""
    said = Said()
    logging.getLogger("vidkd.backbones.extract").addHandler(said)
    ways = [(encoding, number) for encoding in stores for number in workers]
    found: dict[tuple[str, int], list[tuple[float, float]]] = {way: [] for way in ways}
    for number in range(ROUNDS):
        for way in ways if number % 2 else reversed(ways):
            store = stores[way[0]]
            cache_shard(store, "bench", settings, store.with_name("features.h5"), batch, workers=way[1])
            _, rate, waited = said.numbers
            found[way].append((rate, waited))
    return [
        {
            "what": "extraction", "network": network, "device": device(), "store": encoding,
            "workers": number, "clips_s": statistics.median(rate for rate, _ in values),
            "waiting_percent": statistics.median(waited for _, waited in values),
        }
        for (encoding, number), values in found.items()
    ]  # fmt: skip


def on_gpu(network: str, settings: BackboneSettings, batch: int) -> dict[str, object]:
    """Clips/s of the network alone on clips that are on the chip, and its share of the matrix rate."""
    clip = torch.randint(0, 256, (batch, 16, 3, 224, 224), dtype=torch.uint8, device="cuda")
    eager = load_backbone(settings.model_copy(update={"attention": "eager"})).cuda()
    with FlopCounterMode(display=False) as counter:  # products of matrices alone, which eager attention has
        eager(clip[:1])
    del eager
    backbone, rounds = load_backbone(settings).cuda(), []
    for number in range(ROUNDS_GPU + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(PASSES):
            with torch.autocast("cuda", torch.bfloat16):
                backbone(clip)
        torch.cuda.synchronize()
        if number:  # the first round warms up
            rounds.append(batch * PASSES / (time.perf_counter() - start))
    rate, flop = statistics.median(rounds), counter.get_total_flops()
    row = {"what": "network alone", "network": network, "device": device(), "clips_s": rate}
    row |= {"gflop_a_clip": flop / 1e9}
    if peak := next((peak for chip, peak in DENSE_BF16.items() if chip in device()), None):
        row["matrix_rate_percent"] = 100 * flop * rate / peak
    return row


def device() -> str:
    """What the networks run on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"cpu, {torch.get_num_threads()} thread"


def measure_cpu(folder: Path) -> Iterator[dict[str, object]]:
    """A network that dominates, and one that hardly does."""
    few = {encoding: frame_store(folder, encoding, 3) for encoding in ("jpeg", "none")}
    many = {encoding: frame_store(folder, encoding, 12) for encoding in ("jpeg", "none")}
    small, tiny = videomae(folder / "small", **SMALL), videomae(folder / "tiny", **TINY)
    yield from extraction("VideoMAE ViT-S", small, few, (0, 1), 2)
    yield from extraction("VideoMAE, 4 layers of 192", tiny, many, (0, 1), 2)


def measure_gpu(folder: Path) -> Iterator[dict[str, object]]:
    """The two networks of the project's aims, alone and then in whole extractions."""
    networks = {
        "VideoMAE-B": (videomae(folder / "base"), 64),
        "V-JEPA2 ViT-L": (vjepa2(folder / "large"), 32),
    }
    for network, (settings, batch) in networks.items():
        yield on_gpu(network, settings, batch)
    stores = {encoding: frame_store(folder, encoding, 512) for encoding in ("raw", "jpeg")}
    for network, (settings, batch) in networks.items():
        half = settings.model_copy(update={"precision": "bf16"})
        yield from extraction(network, half, stores, (8, 15), batch)


def main() -> None:
    """Measure, print, and write each row of the table when it is there."""
    torch.set_num_threads(1)
    transformers.logging.disable_progress_bar()
    RESULTS.mkdir(exist_ok=True)
    gpu, rows = torch.cuda.is_available(), []
    with tempfile.TemporaryDirectory() as name:
        for row in (measure_gpu if gpu else measure_cpu)(Path(name)):
            rows.append(row)
            print(row, flush=True)
            table = RESULTS / ("extract_gpu.csv" if gpu else "extract.csv")
            pd.DataFrame(rows).to_csv(table, index=False, float_format="%.3f")


if __name__ == "__main__":
    main()
