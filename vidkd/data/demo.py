"""The procedural demo data set: real H.264 videos whose motion only time can tell.

What a video shows is drawn in `demo_specs`, its frames in `demo_drawing`; here they are encoded and written.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vidkd.config.data import SPLITS, DemoSettings
from vidkd.data.demo_drawing import render
from vidkd.data.demo_specs import video_spec
from vidkd.data.tables import write_rows
from vidkd.engine.cpu import keep_memory
from vidkd.engine.logging import progress
from vidkd.errors import UserError
from vidkd.files import atomic

_COLUMNS = ("path", "motion", "shape", "texture", "colour", "labelled")


def write_video(frames: NDArray[np.uint8], path: str | Path, fps: int, crf: int) -> None:
    """Encode RGB frames (T, H, W, 3) as H.264 in mp4, atomically and with the same bytes each time.

    Raises:
        UserError: the file cannot be written, or this PyAV has no libx264.
    """
    encoded = _encode(frames, fps, crf)
    with atomic(path) as temporary:
        temporary.write_bytes(encoded)


def _encode(frames: NDArray[np.uint8], fps: int, crf: int) -> bytes:
    # With its look-ahead x264 gives other bytes from call to call; zerolatency does without.
    options = {"crf": str(crf), "preset": "veryfast", "tune": "zerolatency", "threads": "1"}
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        try:
            stream = container.add_stream("libx264", rate=fps, options=options)
        except av.codec.codec.UnknownCodecError as error:
            raise UserError(
                "this PyAV has no libx264. Install PyPI's: pip install --force-reinstall av"
            ) from error
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def generate_split(
    settings: DemoSettings, split: str, folder: str | Path, annotation_csv: str | Path
) -> None:
    """Write every video of a split to `folder` and, last, the annotation that names them.

    Files that an earlier run left in `folder` (temporary ones, videos beyond the split's end) are removed.

    Raises:
        UserError: the split does not exist, or a file cannot be written.
    """
    folder, annotation_csv = Path(folder), Path(annotation_csv)
    if split not in SPLITS:
        raise UserError(f"the demo has no split {split!r}. Choose one of {', '.join(SPLITS)}.")
    specs = [video_spec(settings, split, index) for index in range(getattr(settings, split))]
    keep_memory()
    _sweep_folder(folder, {f"{spec.video_id}.mp4" for spec in specs})
    rows = []
    for spec in progress(specs, f"demo {split}"):
        path = folder / f"{spec.video_id}.mp4"
        write_video(render(spec), path, settings.fps, settings.crf)
        place = Path(os.path.relpath(path, annotation_csv.parent)).as_posix()
        shown = (spec.motion, spec.shape, spec.texture, spec.colour, str(spec.labelled).lower())
        rows.append(dict(zip(_COLUMNS, (place, *shown), strict=True)))
    write_rows(annotation_csv, rows, _COLUMNS)


def _sweep_folder(folder: Path, keep: set[str]) -> None:
    ours = re.compile(r"(target|source)_(train|val|test)_\d{5,}\.mp4")
    for path in folder.glob("*.mp4"):
        if ours.fullmatch(path.name) and path.name not in keep:
            path.unlink()
    for path in folder.glob(".*.mp4.*.tmp"):
        path.unlink()
