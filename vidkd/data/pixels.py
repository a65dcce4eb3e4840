"""Where the frames of a shard come from: bytes in its file, or the videos themselves.

Both give the same pixels for the same clip and positions; JPEG within its loss.
"""

from __future__ import annotations

import functools
import io
import mmap
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from vidkd.data.hdf5 import text_of
from vidkd.data.mapped import map_bytes
from vidkd.errors import UserError
from vidkd.video.decode import decode_frames, decoder_of, decoder_version
from vidkd.video.video import Image, UnreadableVideo

Pixels = NDArray[np.uint8]
Positions = Sequence[int] | NDArray[np.int64]


class PixelSource(Protocol):
    """The frames of the clips of one shard."""

    def frames(self, row: int, positions: Positions) -> Pixels:
        """Read frames of clip `row` at `positions`, each 0 to T - 1: uint8 RGB (len(positions), H, W, 3)."""

    def intact(self, row: int) -> bool:
        """Tell whether clip `row` still has the checksums that it was stored with."""


class StoredPixels:
    """Frames in the file, raw or JPEG, read through a memory map that is opened when first used."""

    def __init__(self, path: Path, file: h5py.File, video_ids: Sequence[str]) -> None:
        self.path, self.raw = path, text_of(file.attrs["encoding"]) == "raw"
        self._video_ids = video_ids
        self._offset: NDArray[np.int64] = file["offset"][:]
        self._sizes: NDArray[np.int32] = file["size"][:]
        self._crc: NDArray[np.uint32] = file["crc32"][:]
        # Shared with the workers that are forked for each epoch.
        shared = mmap.mmap(-1, max(1, self._crc.size))
        self._checked = np.frombuffer(shared, np.bool_, self._crc.size).reshape(self._crc.shape)
        self._total, self._start = len(file["data"]), file["data"].id.get_offset()
        self._data: Pixels | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_data": None}  # a pickled memory map would carry all its bytes

    @property
    def data(self) -> Pixels:
        """The bytes of all frames."""
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
        try:
            return map_bytes(self.path, self._start, self._total)
        except OSError as error:
            raise UserError(f"{self.path} was removed or replaced while it was read: start again") from error

    def frames(self, row: int, positions: Positions) -> Pixels:
        """See PixelSource.

        Raises:
            UserError: the bytes are not those that were stored.
        """
        height, width = self._sizes[row]
        out = np.empty((len(positions), height, width, 3), np.uint8)
        for place, position in enumerate(positions):
            data = self._bytes(row, position)
            if not self._checked[row, position]:  # once a process: it costs as much as reading
                self._check(data, row, position)
            out[place] = data.reshape(height, width, 3) if self.raw else decode_jpeg(data)
        return out

    def _check(self, data: Pixels, row: int, position: int) -> None:
        if zlib.crc32(data.data) != self._crc[row, position]:
            raise UserError(
                f"{self.path}: frame {position} of {self._video_ids[row]} is damaged. Delete the file "
                "and give the same command again: Snakemake extracts it anew."
            )
        self._checked[row, position] = True

    def intact(self, row: int) -> bool:
        """See PixelSource."""
        return all(zlib.crc32(self._bytes(row, t).data) == crc for t, crc in enumerate(self._crc[row]))

    def _bytes(self, row: int, position: int) -> Pixels:
        return self.data[self._offset[row, position] : self._offset[row, position + 1]]


class DecodedPixels:
    """Frames decoded from the videos each time, and compared with the checksums of those once checked."""

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path, self._decoder = path, str(text_of(file.attrs["decoder"]))
        self._backend = decoder_of(self._decoder)
        self._videos: list[str] = list(file["path"].asstr()[:])
        self._index: NDArray[np.int32] = file["index"][:]
        self._sizes: NDArray[np.int32] = file["size"][:]
        self._crc: NDArray[np.uint32] = file["crc32"][:]
        self._shrink = functools.partial(shrink_short_side, short_side=int(file.attrs["short_side"]))

    def frames(self, row: int, positions: Positions) -> Pixels:
        """See PixelSource.

        Raises:
            UserError: the video cannot be read any more, or gives other frames.
        """
        wanted, places = np.unique(positions, return_inverse=True)
        images = self._decoded(row, wanted)
        if images is None:
            now = decoder_version(self._backend)
            raise UserError(
                f"{self._videos[row]} no longer gives the frames it gave when {self.path} was written: it "
                f"was replaced, or is decoded otherwise (then {self._decoder}, now {now}). "
                f"Delete {self.path} and run extract_frames again, or keep frames with frames.encoding raw."
            )
        out = np.empty((len(positions), *images[0].shape), np.uint8)
        for place, image in enumerate(places):
            out[place] = images[image]
        return out

    def intact(self, row: int) -> bool:
        """See PixelSource."""
        return self._decoded(row, np.arange(self._index.shape[1])) is not None

    def _decoded(self, row: int, positions: NDArray[np.int64]) -> list[Image] | None:
        """The images at ascending positions; None where they are not those of the checksums."""
        try:
            index = self._index[row, positions].tolist()
            images, _ = decode_frames(self._videos[row], index, self._shrink, self._backend)
        except UnreadableVideo as problem:
            raise UserError(
                f"{self._videos[row]} could be read when {self.path} was written, and now: {problem}. Put it "
                "back (a relative data.root starts at the current folder), or delete the store and run "
                "extract_frames again."
            ) from problem
        same = all(
            image.shape[:2] == tuple(self._sizes[row]) and zlib.crc32(image.data) == crc
            for image, crc in zip(images, self._crc[row, positions], strict=True)
        )
        return images if same else None


def shrink_short_side(image: Image, short_side: int) -> Image:
    """Resize (H, W, 3) so that its short side is `short_side` pixels; a smaller image is left as it is."""
    height, width = image.shape[:2]
    scale = short_side / min(height, width)
    if scale >= 1:
        return image
    import torch  # two seconds, in which a shard of small videos that are never shrunk is extracted
    from torch.nn.functional import interpolate

    size = [max(short_side, round(height * scale)), max(short_side, round(width * scale))]
    pixels_1chw = torch.from_numpy(image).permute(2, 0, 1)[None]
    resized = interpolate(pixels_1chw, size=size, mode="bilinear", antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def encode_jpeg(image: Image, quality: int) -> bytes:
    """Encode an (H, W, 3) RGB image as JPEG."""
    stream = io.BytesIO()
    PIL.Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def decode_jpeg(data: Pixels) -> Image:
    """Decode JPEG bytes to an (H, W, 3) RGB image."""
    return np.asarray(PIL.Image.open(io.BytesIO(data.data), formats=("JPEG",)).convert("RGB"))
