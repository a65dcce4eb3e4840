"""What the frames of a clip cost: ours, OpenCV's seek loop, a bare full decode and torchcodec, interleaved.

CPU time of one thread, each contender reading the same frames (segment centres) and resizing them to the same
size; the bare decode converts and resizes nothing. A frame is wrong when it looks like another frame of the
video than the one asked for. Contenders that are not installed (`pip install '.[bench]'`) stay empty.
Run: `make bench`.
"""

from __future__ import annotations

import importlib.util
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import pandas as pd
import torch
from torch.nn.functional import interpolate

from vidkd.data.sampling import segment_centres
from vidkd.video.decode import decode_frames

ROUNDS = 7
COUNTS = (8, 16)
SIZE = 224
RESULTS = Path(__file__).parent / "results" / "decode.csv"
REAL = Path(__file__).resolve().parents[2] / "shared" / "clips"
REAL_CLIPS = (
    "action/mm_demo.mp4",
    "action/dc_pancake.mkv",
    "action/mm_test.avi",
    "other/xvid_b1.avi",
    "other/h264_vfr.mp4",
    "other/vp9_vfr.webm",
    "other/tc_av1_video.mkv",
)
GENERATED = {
    "h264 240p 10 s": ("h264.mp4", "libx264", (320, 240), 300, {}),
    "h264 720p 10 s": ("h264_720.mp4", "libx264", (1280, 720), 300, {"preset": "veryfast"}),
    "h264 240p 10 s, GOP 12": ("h264_gop.mp4", "libx264", (320, 240), 300, {"g": "12"}),
    "h264 240p 120 s, one shot": ("h264_long.mp4", "libx264", (320, 240), 3600, {}),
    "h264 240p 120 s, shots of 4 s": ("h264_shots.mp4", "libx264", (320, 240), 3600, {}),
    "h264 240p 120 s, real shots": ("h264_filmed.mp4", "libx264", (320, 240), 3600, {}),
    "mpeg4 AVI, B-frames": ("b2.avi", "mpeg4", (320, 240), 300, {"bf": "2", "q": "4", "g": "250"}),
    "mpeg4 AVI": ("b0.avi", "mpeg4", (320, 240), 300, {"bf": "0", "q": "4", "g": "250"}),
    "vp9 webm 4 s": ("vp9.webm", "libvpx-vp9", (320, 240), 120, {"crf": "32", "b": "0", "cpu-used": "4"}),
}
TORCHCODEC = ("torchcodec exact", "torchcodec approximate")
NOTHING = np.zeros((0, SIZE, SIZE, 3), np.uint8)
Contender = Callable[[str, Sequence[int]], np.ndarray]


def resized(images: Sequence[np.ndarray]) -> np.ndarray:
    """T images (H, W, 3) to (T, SIZE, SIZE, 3)."""
    return resized_tensor(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2))


def resized_tensor(pixels_tchw: torch.Tensor) -> np.ndarray:
    """(T, 3, H, W) to (T, SIZE, SIZE, 3)."""
    pixels_tchw = interpolate(pixels_tchw, size=(SIZE, SIZE), mode="bilinear", antialias=True)
    return pixels_tchw.permute(0, 2, 3, 1).numpy()


def ours(path: str, indices: Sequence[int]) -> np.ndarray:
    """The door of this project."""
    return resized(decode_frames(path, indices)[0])


def seek_loop(path: str, indices: Sequence[int]) -> np.ndarray:
    """OpenCV: set the position, read."""
    import cv2

    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    frames = []
    for index in indices:
        capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        found, image = capture.read()
        if found:
            frames.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    return resized(frames) if frames else NOTHING


def bare_decode(path: str, indices: Sequence[int]) -> np.ndarray:
    """PyAV: every frame, none converted."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for _ in container.decode(stream):
            pass
    return NOTHING


def torchcodec(mode: str) -> Contender:
    """Torchcodec with its index (exact) or without (approximate)."""

    def decode(path: str, indices: Sequence[int]) -> np.ndarray:
        from torchcodec.decoders import VideoDecoder

        decoder = VideoDecoder(path, seek_mode=mode, num_ffmpeg_threads=1)
        return resized_tensor(decoder.get_frames_at(list(indices)).data)

    return decode


def contenders() -> dict[str, Contender]:
    """Those that can be imported here."""
    found: dict[str, Contender] = {"vidkd": ours, "bare": bare_decode}
    if importlib.util.find_spec("cv2"):
        import cv2

        cv2.setNumThreads(1)
        found["opencv"] = seek_loop
    if importlib.util.find_spec("torchcodec"):
        found |= {name: torchcodec(name.split()[1]) for name in TORCHCODEC}
    return found


def generate(folder: Path, name: str, codec: str, size: tuple[int, int], frames: int, options: dict) -> Path:
    """A video of 30 frames a second."""
    path = folder / name
    images = filmed(size) if "filmed" in name else drawn(size, 120 if "shots" in name else frames)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for image in itertools.islice(images, frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def drawn(size: tuple[int, int], shot: int) -> Iterator[np.ndarray]:
    """A moving texture, another one every `shot` frames, with a moving square and some noise."""
    width, height = size
    generator = np.random.default_rng(0)
    for number in itertools.count():
        if number % shot == 0:
            blocks = generator.integers(0, 255, (height // 8, width // 8, 3), np.uint8)
            texture = blocks.repeat(8, 0).repeat(8, 1)
        image = np.roll(texture, (2 * number, 3 * number), (0, 1)).astype(np.int16)
        image += generator.integers(-6, 7, (height, width, 1), np.int16)
        x = int(width * (0.5 + 0.3 * np.sin(number / 20)))
        y = int(height * (0.5 + 0.3 * np.cos(number / 13)))
        image[y - 20 : y + 20, x - 20 : x + 20] = (number % 256, 255 - number % 256, 30)
        yield image.clip(0, 255).astype(np.uint8)


def filmed(size: tuple[int, int]) -> Iterator[np.ndarray]:
    """The three real clips of people, one after the other, again and again."""
    width, height = size
    for name in itertools.cycle(REAL_CLIPS[:3]):
        with av.open(str(REAL / name)) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(width=width, height=height, format="rgb24")


def small(image: np.ndarray) -> np.ndarray:
    """(SIZE, SIZE, 3) to 28 x 28 averages."""
    return image.reshape(28, SIZE // 28, 28, SIZE // 28, 3).mean((1, 3), dtype=np.float32)


def references(path: Path) -> np.ndarray:
    """Every frame in the order it decodes, small."""
    with av.open(str(path)) as container:
        return np.stack(
            [small(resized([f.to_ndarray(format="rgb24")])[0]) for f in container.decode(video=0)]
        )


def wrong(frames: np.ndarray, indices: Sequence[int], truth: np.ndarray) -> int:
    """How many frames are missing or look more like another frame than like the one asked for."""
    count = len(indices) - len(frames)
    for frame, index in zip(frames, indices, strict=False):
        distance = np.abs(truth - small(frame)).mean((1, 2, 3))
        count += distance[index] > distance.min() * 1.5 + 0.5
    return int(count)


def measure(clip: str, path: Path, count: int, truth: np.ndarray) -> dict[str, object]:
    """Medians over interleaved rounds, the order reversed each round, and medians of the ratios to ours."""
    indices = segment_centres(len(truth), count).tolist()
    found = contenders()
    names = list(found)
    rounds: dict[str, list[float]] = {name: [] for name in names}
    errors: dict[str, int] = {}
    for number in range(ROUNDS + 1):
        for name in names if number % 2 else reversed(names):
            start = time.process_time()
            frames = found[name](str(path), indices)
            taken = time.process_time() - start
            if number:  # the first round warms up
                rounds[name].append(1000 * taken)
            elif name != "bare":
                errors[name] = wrong(frames, indices, truth)
    row: dict[str, object] = {"clip": clip, "frames": len(truth), "T": count}
    row |= {f"{name} ms": statistics.median(values) for name, values in rounds.items()}
    for name in names[1:]:
        ratios = [other / own for other, own in zip(rounds[name], rounds["vidkd"], strict=True)]
        row[f"{name} / vidkd"] = statistics.median(ratios)
    return row | {f"{name} wrong": number for name, number in errors.items()}


def markdown(table: pd.DataFrame) -> str:
    """The table of the README: times our CPU time that the others take, and their wrong frames, by count."""
    lines = ["| clip | ours, ms | OpenCV seek loop | full decode | torchcodec, better mode |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for clip, rows in table.groupby("clip", sort=False):
        ours = " / ".join(f"{row['vidkd ms']:.0f}{_errors(row, 'vidkd')}" for _, row in rows.iterrows())
        cells = [_cell(rows, [name]) for name in ("opencv", "bare")]
        lines.append(f"| {clip} | {ours} | {' | '.join(cells)} | {_cell(rows, TORCHCODEC)} |")
    return "\n".join(lines)


def _cell(rows: pd.DataFrame, names: Sequence[str]) -> str:
    """Of several modes, that with fewer wrong frames, or else the faster one."""
    found = [name for name in names if f"{name} / vidkd" in rows]
    if not found:
        return "not installed"
    cells = []
    for _, row in rows.iterrows():
        best = min(found, key=lambda name: (row.get(f"{name} wrong", 0), row[f"{name} / vidkd"]))
        cells.append(f"{row[f'{best} / vidkd']:.2f}×{_errors(row, best)}")
    return " / ".join(cells)


def _errors(row: pd.Series, name: str) -> str:
    return f" ({row[f'{name} wrong']:.0f} wrong)" if row.get(f"{name} wrong", 0) else ""


def main() -> None:
    """Measure, print and write the table."""
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        recipes = {clip: r for clip, r in GENERATED.items() if "filmed" not in r[0] or REAL.is_dir()}
        paths = {clip: generate(Path(folder), *recipe) for clip, recipe in recipes.items()}
        paths |= {name: REAL / name for name in REAL_CLIPS if (REAL / name).is_file()}
        for clip, path in paths.items():
            truth = references(path)
            rows += [measure(clip, path, count, truth) for count in COUNTS]
            print(clip, "measured", flush=True)
    table = pd.DataFrame(rows)
    print(markdown(table))
    RESULTS.parent.mkdir(exist_ok=True)
    table.to_csv(RESULTS, index=False, float_format="%.3f")


if __name__ == "__main__":
    main()
