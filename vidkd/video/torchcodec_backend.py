"""Decoding by torchcodec, on a GPU's NVDEC where there is CUDA; it gives the frames that PyAV gives, or none.

Torchcodec is told which packets are the frames by our own demuxing, and the time stamps of what it returns
are checked. Videos deeper than 8 bits are left to PyAV: torchcodec's conversion of those is levels off.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import torch

from vidkd.errors import UserError
from vidkd.video.bitstream import NotPlannable
from vidkd.video.timeline import Timeline, has_trusted_times
from vidkd.video.video import Image

_AT_ONCE = 16  # frames held at full size


def backend_version() -> str:
    """Name and version, and on what it decodes: NVDEC's pixels are not those of a CPU.

    Raises:
        UserError: it is not installed, or cannot be loaded.
    """
    _video_decoder()
    return f"torchcodec {importlib.metadata.version('torchcodec')}, {_device()}"


def decode(
    path: str | Path,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    timeline: Timeline,
    wanted: Sequence[int],
) -> Iterator[tuple[int, Image, float]]:
    """Frame number, RGB image as it is to be displayed, and time stamp in seconds of each wanted frame.

    Args:
        path: the video.
        container: the file as PyAV opened it.
        stream: its video stream.
        timeline: what demuxing found.
        wanted: ascending frame numbers, each once.

    Raises:
        NotPlannable: torchcodec cannot be relied on here.
        UserError: it is not installed, or cannot be loaded.
    """
    video_decoder = _video_decoder()
    if not has_trusted_times(container):
        raise NotPlannable("no time stamps that torchcodec could be told")
    if wanted[-1] >= len(timeline.display):
        raise NotPlannable(f"only {len(timeline.display)} frames are listed")
    times = [timeline.rank[packet] for packet in timeline.display]
    try:
        decoder = video_decoder(
            str(path),
            stream_index=stream.index,
            dimension_order="NHWC",
            device=_device(),
            custom_frame_mappings=_frame_mappings(timeline, times),
        )
        for start in range(0, len(wanted), _AT_ONCE):
            indices = list(wanted[start : start + _AT_ONCE])
            batch = decoder.get_frames_at(indices)
            for index, pixels_hwc, seconds in zip(indices, batch.data, batch.pts_seconds, strict=True):
                expected = float(times[index] * timeline.tick)
                if abs(float(seconds) - expected) > float(timeline.tick) / 2:
                    raise NotPlannable("torchcodec gave a frame of another time")
                yield index, pixels_hwc.cpu().numpy(), expected
    except (RuntimeError, ValueError, IndexError) as error:  # all that torchcodec raises about a video
        raise NotPlannable(str(error)) from error


def _frame_mappings(timeline: Timeline, times: list[int]) -> str:
    """The frames in display order, as torchcodec reads them."""
    lengths = [after - before for before, after in itertools.pairwise(times)]
    lengths.append(lengths[-1] if lengths else 1)
    frames = [
        {"pts": time, "duration": length, "key_frame": int(timeline.entry[packet])}
        for packet, time, length in zip(timeline.display, times, lengths, strict=True)
    ]
    return json.dumps({"frames": frames})


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _video_decoder() -> Any:
    try:
        return importlib.import_module("torchcodec.decoders").VideoDecoder
    except (ImportError, RuntimeError, OSError) as error:  # RuntimeError: FFmpeg's libraries are not there
        raise UserError(
            "frames.decoder is torchcodec, and it cannot be loaded here. Install it with "
            "`pip install '.[torchcodec]'` in the project's folder, and FFmpeg's shared libraries with the "
            "system's packages (`apt-get install ffmpeg`), or set frames.decoder to pyav. "
            f"It says: {str(error).strip().splitlines()[0]}"
        ) from error
