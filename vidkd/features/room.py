"""Whether the features of a shard will fit on the disk, said before the first is computed."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np

from vidkd.errors import UserError

logger = logging.getLogger(__name__)


def check_room(output: Path, videos: int, shape: tuple[int, int], dtype: str, remedy: str) -> None:
    """Log the size of a shard that is about to be written, and refuse it where the disk is too small.

    Args:
        output: the shard; its folder exists.
        videos: how many rows it will have.
        shape: (T', D) of a row.
        dtype: float16 or float32.
        remedy: what to do, for the message.

    Raises:
        UserError: the disk has less room.
    """
    steps, width = shape
    needed = videos * steps * width * np.dtype(dtype).itemsize
    logger.info("%s: %d x %d x %d %s, %.1f MB", output, videos, steps, width, dtype, needed / 1e6)
    if needed > (free := shutil.disk_usage(output.parent).free):
        raise UserError(
            f"{output}: features of {needed / 1e6:.1f} MB do not fit on the disk, which has "
            f"{free / 1e6:.1f} MB left. {remedy}"
        )
