"""Extraction: decode each video of a shard once and keep its uniformly spaced frames."""

from __future__ import annotations

import functools
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidkd.config.data import FrameSettings
from vidkd.data.frame_writer import FrameWriter, StoredClip, frame_writer
from vidkd.data.pixels import encode_jpeg, shrink_short_side
from vidkd.data.sampling import segment_centres
from vidkd.data.tables import OK, read_rows
from vidkd.engine.logging import progress
from vidkd.video.decode import decode_frames, decoder_version
from vidkd.video.video import Image, TooFewFrames, UnreadableVideo

logger = logging.getLogger(__name__)


def extract_shard(
    probe_csv: Path, split: str, root: Path, output_h5: Path, settings: FrameSettings
) -> tuple[int, int]:
    """Write the frame store of one shard and split.

    Args:
        probe_csv: the probed shard; videos that it excludes are left out.
        split: train, val or test.
        root: folder that paths are relative to.
        output_h5: the store; valid with no clips when the shard has no video of this split.
        settings: which frames are kept and how.

    Returns:
        How many clips were kept, and how many videos were excluded here.

    Raises:
        UserError: the probe file is missing, or the output cannot be written.
    """
    rows = [row for row in read_rows(probe_csv) if row["split"] == split and row["status"] == OK]
    rows.sort(key=lambda row: row["video_id"])
    with frame_writer(output_h5, settings, decoder_version(settings.decoder)) as writer:
        for row in progress(rows, f"extract {split}"):
            try:
                _add_video(writer, row, root, settings)
            except UnreadableVideo as problem:
                writer.excluded.append((row["video_id"], problem.reason, problem.detail))
    kept, excluded = len(rows) - len(writer.excluded), len(writer.excluded)
    logger.info("%s: %d clips, %d excluded, %d bytes", output_h5, kept, excluded, writer.total)
    return kept, excluded


def _add_video(writer: FrameWriter, row: dict[str, str], root: Path, settings: FrameSettings) -> None:
    path = root / row["path"]
    index, images, seconds = sampled_frames(path, int(row["frames"]), settings)
    padded, (height, width) = len(set(index.tolist())) < settings.per_video, images[0].shape[:2]
    label_id = int(row["label_id"])
    clip = StoredClip(row["video_id"], label_id, index, seconds, padded, (height, width), str(path))
    writer.add(clip, [_encoded(image, settings) for image in images])


def sampled_frames(
    path: Path, frames: int, settings: FrameSettings
) -> tuple[NDArray[np.int32], list[Image], NDArray[np.float64]]:
    """Decode the frames that are kept of a video.

    Args:
        path: the video.
        frames: how many it has by its probe.
        settings: which frames are kept.

    Returns:
        Their numbers (T), the upright, shrunk images, and their time stamps (T) in seconds.

    Raises:
        UnreadableVideo: it is too short, or not sound.
    """
    try:
        return _sampled(path, frames, settings)
    except TooFewFrames as problem:  # sound, but fewer frames come out than packets go in
        return _sampled(path, problem.decoded, settings)


def _sampled(
    path: Path, frames: int, settings: FrameSettings
) -> tuple[NDArray[np.int32], list[Image], NDArray[np.float64]]:
    if frames < settings.min_frames:
        raise UnreadableVideo(
            "too_short", f"{frames} frames, fewer than frames.min_frames = {settings.min_frames}"
        )
    index = segment_centres(frames, settings.per_video).astype(np.int32)
    shrink = functools.partial(shrink_short_side, short_side=settings.short_side)
    images, seconds = decode_frames(path, index.tolist(), shrink, settings.decoder)
    return index, images, seconds


def _encoded(image: Image, settings: FrameSettings) -> bytes:
    return encode_jpeg(image, settings.jpeg_quality) if settings.encoding == "jpeg" else image.tobytes()
