"""The frame store: the frames kept of each video, one HDF5 file a shard.

Layout, N clips of T frames: `data` (bytes of all frames, contiguous, uncompressed; raw RGB or JPEG), `offset`
(N, T + 1) where frame t of clip i is `data[offset[i, t]:offset[i, t + 1]]`, `size` (N, 2) height and width,
`video_id`, `label_id`, `index` (N, T) source frame numbers, `timestamp` (N, T) seconds, `padded`, `crc32` of
each clip's bytes, and `excluded` (M, 3) video id, reason and detail. Rows are sorted by video_id.
"""

from __future__ import annotations

import hashlib
import io
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
from PIL import Image

from vidkd.config.data import FrameSettings
from vidkd.config.load import canonical
from vidkd.errors import UserError
from vidkd.files import atomic

Pixels = NDArray[np.uint8]
Positions = Sequence[int] | NDArray[np.int64]
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
    """

    video_id: str
    label_id: int
    index: NDArray[np.int32]
    timestamp: NDArray[np.float64]
    padded: bool
    size: tuple[int, int]


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
        total: bytes of all frames so far.
    """

    def __init__(self, spool: IO[bytes], settings: FrameSettings, decoder: str) -> None:
        self._spool, self._settings, self._decoder = spool, settings, decoder
        self._clips: list[StoredClip] = []
        self._offset: list[NDArray[np.int64]] = []
        self._crc: list[int] = []
        self.excluded: list[tuple[str, str, str]] = []
        self.total = 0

    def add(self, clip: StoredClip, frames: Sequence[bytes]) -> None:
        """Append a clip with its T encoded frames; clips come sorted by video_id."""
        self._offset.append(self.total + np.cumsum([0, *map(len, frames)], dtype=np.int64))
        joined = b"".join(frames)
        self._spool.write(joined)
        self.total += len(joined)
        self._crc.append(zlib.crc32(joined))
        self._clips.append(clip)

    def write(self, path: Path) -> None:
        """Write the HDF5 file."""
        with h5py.File(path, "w") as file:
            self._write_data(file)
            self._write_rows(file)
            file.attrs.update(store_attributes(self._settings, self._decoder), n_excluded=len(self.excluded))

    def _write_data(self, file: h5py.File) -> None:
        data = file.create_dataset("data", (self.total,), np.uint8)
        self._spool.seek(0)
        for start in range(0, self.total, _BLOCK):
            block = np.frombuffer(self._spool.read(_BLOCK), np.uint8)
            data[start : start + len(block)] = block

    def _write_rows(self, file: h5py.File) -> None:
        clips, count, kept = self._clips, len(self._clips), self._settings.per_video
        columns: dict[str, NDArray[Any]] = {
            "offset": np.array(self._offset, np.int64).reshape(count, kept + 1),
            "size": np.array([clip.size for clip in clips], np.int32).reshape(count, 2),
            "label_id": np.array([clip.label_id for clip in clips], np.int32),
            "index": np.array([clip.index for clip in clips], np.int32).reshape(count, kept),
            "timestamp": np.array([clip.timestamp for clip in clips], np.float64).reshape(count, kept),
            "padded": np.array([clip.padded for clip in clips], np.bool_),
            "crc32": np.array(self._crc, np.uint32),
        }
        for name, values in columns.items():
            file.create_dataset(name, data=values)
        _write_strings(file, "video_id", np.array([clip.video_id for clip in clips], np.str_))
        _write_strings(file, "excluded", np.array(self.excluded, np.str_).reshape(-1, 3))


def store_attributes(settings: FrameSettings, decoder: str) -> dict[str, str | int]:
    """Attributes of a store: how its frames were made, and the digest by which shards are known to agree."""
    versions = {"h5py": h5py.__version__, "numpy": np.__version__, "pillow": PIL.__version__}
    return {
        "encoding": settings.encoding,
        "per_video": settings.per_video,
        "short_side": settings.short_side,
        "digest": hashlib.sha256(canonical(settings).encode()).hexdigest(),
        "decoder": decoder,
        "versions": json.dumps(versions),
    }


class FrameStore:
    """Reads the shards of one split as one sequence of clips.

    Frames are read from a memory map, opened when first used, so a store can be handed to worker processes.

    Attributes:
        video_ids: of each clip.
        label_ids: (N) int32.
        sizes: (N, 2) int32 height and width in pixels.
        per_video: T, frames of each clip.
        excluded: (video id, reason, detail) of the videos that failed when frames were extracted.
        digest: of the settings that made the store.
    """

    def __init__(self, files: Sequence[str | Path]) -> None:
        """Open a store.

        Args:
            files: its shards, in the order of their clips.

        Raises:
            UserError: a file is missing, cut, no frame store, or made with other settings than the rest.
        """
        if not files:
            raise UserError("a frame store needs at least one file: run extract_frames")
        self._shards = [_Shard(Path(file)) for file in files]
        self.digest, self.per_video = self._shards[0].digest, self._shards[0].per_video
        for shard in self._shards:
            if shard.digest != self.digest:
                raise UserError(
                    f"{shard.path} and {self._shards[0].path} were made with different settings: "
                    "run extract_frames again"
                )
        self._starts = np.cumsum([0, *(len(shard.video_ids) for shard in self._shards)])
        self.video_ids = [name for shard in self._shards for name in shard.video_ids]
        if len(set(self.video_ids)) < len(self.video_ids):
            raise UserError(
                f"{Path(files[0]).parent}: a video is in two frame stores: delete the shards that are "
                f"left of an "
                "earlier data.n_shards, or name each file once."
            )
        self.label_ids = np.concatenate([shard.label_ids for shard in self._shards])
        self.sizes = np.concatenate([shard.sizes for shard in self._shards])
        self.excluded = [row for shard in self._shards for row in shard.excluded]

    def __len__(self) -> int:
        return len(self.video_ids)

    def clip(self, i: int, positions: Positions) -> Pixels:
        """Frames of clip `i`.

        Args:
            i: the clip, 0 to N - 1.
            positions: t of the kept frames to give, each 0 to T - 1, in any order.

        Returns:
            (len(positions), H, W, 3) uint8 RGB.
        """
        shard, row = self._locate(i)
        return shard.frames(row, positions)

    def verify(self) -> None:
        """Read every clip and compare its checksum.

        Raises:
            UserError: names the file and the clips whose bytes have changed.
        """
        for shard in self._shards:
            damaged = [name for row, name in enumerate(shard.video_ids) if not shard.intact(row)]
            if damaged:
                raise UserError(
                    f"{shard.path}: {len(damaged)} clips are damaged, such as {', '.join(damaged[:5])}: "
                    "delete the file and run extract_frames again"
                )

    def _locate(self, i: int) -> tuple[_Shard, int]:
        if not 0 <= i < len(self):
            raise IndexError(f"clip {i} of {len(self)}")
        number = int(np.searchsorted(self._starts, i, side="right")) - 1
        return self._shards[number], i - int(self._starts[number])


class _Shard:
    """One file of a store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise UserError(f"frame store {path} is missing: run extract_frames")
        try:
            with h5py.File(path, "r", locking=False) as file:
                self._read(file)
        except (OSError, KeyError, ValueError) as error:
            raise UserError(
                f"{path} is not a whole frame store ({error}): delete it and run extract_frames again"
            ) from error
        self._data: Pixels | None = None

    def _read(self, file: h5py.File) -> None:
        self.digest, self.encoding = str(file.attrs["digest"]), str(file.attrs["encoding"])
        self.per_video = int(file.attrs["per_video"])
        self.video_ids: list[str] = list(file["video_id"].asstr()[:])
        self.label_ids: NDArray[np.int32] = file["label_id"][:]
        self.excluded: list[tuple[str, str, str]] = [tuple(row) for row in file["excluded"].asstr()[:]]
        self._offset: NDArray[np.int64] = file["offset"][:]
        self.sizes: NDArray[np.int32] = file["size"][:]
        self._crc: NDArray[np.uint32] = file["crc32"][:]
        self._total, self._start = len(file["data"]), file["data"].id.get_offset()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_data": None}  # a pickled memory map would carry all its bytes

    @property
    def data(self) -> Pixels:
        if self._data is None:
            self._data = self._mapped()
        return self._data

    def _mapped(self) -> Pixels:
        if self._total == 0:
            return np.empty(0, np.uint8)
        if self._start is None:  # not contiguous: another program wrote it
            with h5py.File(self.path, "r", locking=False) as file:
                values: Pixels = file["data"][:]
            return values
        return np.memmap(self.path, np.uint8, "r", self._start, (self._total,))

    def frames(self, row: int, positions: Positions) -> Pixels:
        height, width = self.sizes[row]
        out = np.empty((len(positions), height, width, 3), np.uint8)
        for place, position in enumerate(positions):
            if not 0 <= position < self.per_video:
                raise IndexError(f"frame {position} of {self.per_video}")
            data = self.data[self._offset[row, position] : self._offset[row, position + 1]]
            out[place] = data.reshape(height, width, 3) if self.encoding == "raw" else decode_jpeg(data)
        return out

    def intact(self, row: int) -> bool:
        stored = self.data[self._offset[row, 0] : self._offset[row, -1]]
        return zlib.crc32(stored.data) == self._crc[row]


def encode_jpeg(image: Pixels, quality: int) -> bytes:
    """JPEG bytes of an (H, W, 3) RGB image."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def decode_jpeg(data: Pixels) -> Pixels:
    """The (H, W, 3) RGB image of JPEG bytes."""
    return np.asarray(Image.open(io.BytesIO(data.tobytes())).convert("RGB"))


def _write_strings(file: h5py.File, name: str, values: NDArray[np.str_]) -> None:
    """Fixed-length UTF-8: unlike HDF5's variable strings it has one form on disk."""
    encoded = np.char.encode(values, "utf-8")
    dtype = h5py.string_dtype("utf-8", max(1, encoded.dtype.itemsize))
    file.create_dataset(name, data=encoded.astype(dtype))


def find_shards(places: Sequence[Path]) -> list[Path]:
    """The frame stores among `places`: files as they are, and every `shard_*.h5` of a folder in shard order.

    Raises:
        UserError: a place does not exist, or a folder has no shard.
    """
    found: list[Path] = []
    for place in places:
        shards = (
            sorted(place.glob("shard_*.h5"), key=lambda p: (len(p.name), p.name))
            if place.is_dir()
            else [place]
        )
        if not shards or not shards[0].exists():
            raise UserError(
                f"{place}: no frame store there. Run `snakemake` first, or name its files or folder."
            )
        found += shards
    return found
