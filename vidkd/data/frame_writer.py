"""Writing a frame store: one HDF5 file a shard, in bounded memory. Its layout is in `vidkd.data.frames`."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
import PIL
from numpy.typing import NDArray

from vidkd.config.base import canonical
from vidkd.config.data import FrameSettings
from vidkd.data.hdf5 import checksum, fixed_length, new_file, write_attributes
from vidkd.files import atomic

_BLOCK = 16 * 2**20


@dataclass(frozen=True)
class StoredClip:
    """What a store keeps of one video beside its bytes.

    Attributes:
        video_id: of the manifest.
        label_id: position in classes.json.
        index: (T) source frame numbers, ascending.
        timestamp: (T) seconds, NaN where unknown.
        padded: whether frames repeat because the video has fewer than T.
        size: height and width in pixels.
        path: of the video as it was opened; kept where its frames are not.
    """

    video_id: str
    label_id: int
    index: NDArray[np.int32]
    timestamp: NDArray[np.float64]
    padded: bool
    size: tuple[int, int]
    path: str = ""


@contextmanager
def frame_writer(path: Path, settings: FrameSettings, decoder: str) -> Iterator[FrameWriter]:
    """Write one shard atomically, in bounded memory: bytes are spooled first, as their total is unknown.

    Args:
        path: the store.
        settings: how its frames are made; they become attributes.
        decoder: what decoded the videos, for the attribute of that name.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    with atomic(path) as temporary, tempfile.TemporaryFile(dir=path.parent) as spool:
        writer = FrameWriter(spool, settings, decoder)
        yield writer
        writer.write(temporary)


class FrameWriter:
    """Collects the clips of one shard; see frame_writer.

    Attributes:
        excluded: (video id, reason, detail) of the videos that were left out.
        total: bytes of the frames kept so far.
    """

    def __init__(self, spool: IO[bytes], settings: FrameSettings, decoder: str) -> None:
        self._spool, self._settings, self._decoder = spool, settings, decoder
        self._clips: list[StoredClip] = []
        self._offset: list[NDArray[np.int64]] = []
        self._crc: list[NDArray[np.uint32]] = []
        self.excluded: list[tuple[str, str, str]] = []
        self.total = 0

    def add(self, clip: StoredClip, frames: Sequence[bytes]) -> None:
        """Append a clip; clips come sorted by video_id.

        Args:
            clip: what is kept beside its frames.
            frames: its T frames, JPEG or raw RGB; with `encoding: none` only their checksums are kept.
        """
        self._clips.append(clip)
        self._crc.append(np.array([zlib.crc32(frame) for frame in frames], np.uint32))
        if self._settings.encoding != "none":
            self._offset.append(self.total + np.cumsum([0, *map(len, frames)], dtype=np.int64))
            self._spool.writelines(frames)
            self.total += sum(map(len, frames))

    def write(self, path: Path) -> None:
        """Write the HDF5 file."""
        with new_file(path) as file:
            self._write_rows(file)
            if self._settings.encoding == "none":
                file["path"] = fixed_length(np.array([clip.path for clip in self._clips], np.str_))
            else:
                self._write_data(file)
            made = store_attributes(self._settings, self._decoder) | {"n_excluded": len(self.excluded)}
            write_attributes(file, made)
            write_attributes(file, {"checksum": checksum(file, "data")})

    def _write_data(self, file: h5py.File) -> None:
        offset = np.array(self._offset, np.int64).reshape(len(self._clips), self._settings.per_video + 1)
        file.create_dataset("offset", data=offset)
        data = file.create_dataset("data", (self.total,), np.uint8)
        self._spool.seek(0)
        for start in range(0, self.total, _BLOCK):
            block = np.frombuffer(self._spool.read(_BLOCK), np.uint8)
            data[start : start + len(block)] = block

    def _write_rows(self, file: h5py.File) -> None:
        clips, count, kept = self._clips, len(self._clips), self._settings.per_video
        columns: dict[str, NDArray[Any]] = {
            "size": np.array([clip.size for clip in clips], np.int32).reshape(count, 2),
            "label_id": np.array([clip.label_id for clip in clips], np.int32),
            "index": np.array([clip.index for clip in clips], np.int32).reshape(count, kept),
            "timestamp": np.array([clip.timestamp for clip in clips], np.float64).reshape(count, kept),
            "padded": np.array([clip.padded for clip in clips], np.bool_),
            "crc32": np.array(self._crc, np.uint32).reshape(count, kept),
            "video_id": fixed_length(np.array([clip.video_id for clip in clips], np.str_)),
            "excluded": fixed_length(np.array(self.excluded, np.str_).reshape(-1, 3)),
        }
        for name, values in columns.items():
            file.create_dataset(name, data=values)


def store_attributes(settings: FrameSettings, decoder: str) -> dict[str, str | int]:
    """Say how the frames of a store were made, with the digest by which shards are known to agree."""
    versions = {"h5py": h5py.__version__, "numpy": np.__version__, "pillow": PIL.__version__}
    return {
        "encoding": settings.encoding,
        "per_video": settings.per_video,
        "short_side": settings.short_side,
        "digest": hashlib.sha256(canonical(settings).encode()).hexdigest(),
        "decoder": decoder,
        "versions": json.dumps(versions),
    }
