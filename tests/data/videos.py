"""Small real videos whose frames carry their own number, and the real clips kept outside the repository."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "clips"


def needs_clips(test):
    """Mark a test or class that reads the real clips; skipped with a reason where they are not."""
    absent = pytest.mark.skipif(not CLIPS.is_dir(), reason="the clips folder is not beside the repository")
    return pytest.mark.clips(absent(test))


HEIGHT, WIDTH, BITS = 48, 64, 8


def numbered(number: int) -> np.ndarray:
    """An image that shows `number` as eight black or white columns."""
    bits = [255 * (number >> bit & 1) for bit in range(BITS)]
    return np.broadcast_to(np.repeat(np.uint8(bits), WIDTH // BITS)[None, :, None], (HEIGHT, WIDTH, 3)).copy()


def number_of(image: np.ndarray) -> int:
    """The number an image shows, whatever its size."""
    columns = image.shape[1] // BITS
    levels = [image[:, bit * columns + 1 : (bit + 1) * columns - 1].mean() for bit in range(BITS)]
    return sum(1 << bit for bit, level in enumerate(levels) if level > 127)


def write_video(path: Path, frames: int = 20, codec: str = "libx264", **options: str) -> Path:
    """Encode `frames` numbered frames at 10 fps; an MP4 has its index first, so that a cut one opens."""
    layout = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=layout) as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_audio(path: Path) -> Path:
    """A file with a sound stream only."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    return path
