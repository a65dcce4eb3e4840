"""Extraction: what a frozen network makes of every video of a frame store, computed once.

On a CPU a network sees one clip at a time, which is as fast with networks of a useful size; on a GPU the last
batch is filled up. The size of a batch decides how a library sums, so that a row never depends on the videos
beside it, and on a CPU not on the batch size either.
"""

from __future__ import annotations

import importlib.metadata
import logging
import math
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from vidkd.backbones.protocol import Backbone, BackboneSpec, pool
from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
from vidkd.data.clips import clip_loader
from vidkd.data.feature_meta import FeatureMeta
from vidkd.data.feature_writer import FeatureWriter, feature_writer
from vidkd.data.frames import FrameStore
from vidkd.data.views import ViewedClips, view_positions
from vidkd.engine.logging import Waiting, progress
from vidkd.errors import UserError

logger = logging.getLogger(__name__)

LIBRARIES = ("torch", "timm", "open_clip_torch", "transformers")
"""Packages that compute features; their versions are written beside these."""

_OUT_OF_MEMORY = ("allocate memory", "shared memory", "killed by signal: Killed")
"""In messages of an allocator, of a worker without room in /dev/shm, and of one that the system killed."""


def cache_shard(
    frames_h5: Path, name: str, settings: BackboneSettings, output_h5: Path, batch: int = 8, workers: int = 0
) -> list[Path]:
    """Write the features of one shard of a frame store; rows have its order.

    Args:
        frames_h5: the shard.
        name: of the backbone in the configuration.
        settings: the backbone, and what of its features is kept.
        output_h5: the feature shard; valid with no rows when the frame store has none.
        batch: clips of a batch; no effect on a CPU's result.
        workers: processes that read clips while the network computes; no effect on the result.

    Returns:
        The files that were read: the frame store, and those of the backbone.

    Raises:
        UserError: the backbone or the frame store cannot be used, they do not fit together, memory or the
            disk is too small, or a feature is not finite.
    """
    torch.set_num_threads(settings.cpu_threads)
    # PyTorch would compute convolutions of float32 with ten bits of mantissa.
    torch.backends.cudnn.allow_tf32 = False
    store = FrameStore([frames_h5])
    network = _Network(load_backbone(settings), settings, _device(settings), batch)
    index, decoder = _frames_of(frames_h5, network.backbone.spec.frames, settings.views)
    meta = feature_meta(network.backbone, name, settings, store, decoder)
    with feature_writer(output_h5, meta, len(store)) as writer:
        if len(store):
            with _naming_batch(batch):
                _check_room(output_h5, len(store), network.row_shape(), meta.dtype)
                _add_rows(writer, network, store, index, workers, name)
    return [frames_h5, *network.backbone.origin.files]


def feature_meta(
    backbone: Backbone, name: str, settings: BackboneSettings, store: FrameStore, decoder: str
) -> FeatureMeta:
    """What the features of `store` say about themselves, and must say to be those of `settings`."""
    spec = backbone.spec
    preprocessing = {
        "sampling": "segment centres" if settings.views == 1 else "centres of equal parts of segments",
        "view": "centre" if settings.crops == 1 else "start, centre and end of the long side",
        "crop": spec.crop, "size": spec.size,
        "mean": spec.mean, "std": spec.std, "precision": settings.precision,
        "config_sha256": backbone.origin.config_sha256,
        **settings.model_dump(include={"views", "crops"}, exclude_defaults=True),
    }  # fmt: skip
    return FeatureMeta(
        backbone=name, weights_sha256=backbone.weights_sha256, preprocessing=preprocessing,
        tokens=settings.tokens, frames=spec.frames, dtype="float16" if settings.fp16 else "float32",
        decoder=decoder, frames_digest=store.digest,
        versions={library: importlib.metadata.version(library) for library in LIBRARIES},
    )  # fmt: skip


@dataclass(frozen=True)
class _Network:
    """A backbone on its device, and how clips go through it."""

    backbone: Backbone
    settings: BackboneSettings
    device: torch.device
    batch: int

    def __post_init__(self) -> None:
        self.backbone.to(self.device)

    @property
    def looks(self) -> int:
        """Clips of a video: its views and their crops."""
        return self.settings.views * self.settings.crops

    @property
    def videos(self) -> int:
        """Videos that are read together: as many as a batch has room for, at least one."""
        return max(1, self.batch // self.looks)

    @property
    def at_once(self) -> int:
        """Clips that the network sees at once: of those read together equal parts, none above a batch."""
        clips = self.videos * self.looks
        return 1 if self.device.type == "cpu" else math.ceil(clips / math.ceil(clips / self.batch))

    def row_shape(self) -> tuple[int, int]:
        """(V x T', D) of a video, by trying a clip."""
        spec = self.backbone.spec
        clip = torch.zeros(1, spec.frames, 3, spec.size, spec.size, dtype=torch.uint8)
        _, steps, width = self._pooled(clip).shape
        return self.looks * steps, width

    def rows(self, store: FrameStore, workers: int, waiting: Waiting) -> Iterator[NDArray[np.float32]]:
        """Features (V x T', D) of each video, in order; of V views, the temporal one is the slowest."""
        spec, settings = self.backbone.spec, self.settings
        clips = ViewedClips(store, spec.frames, spec.size, spec.crop, settings.views, settings.crops)
        _warn_of_sizes(store, spec, settings.crops)
        for batch in waiting.each(clip_loader(clips, workers, batch_size=self.videos)):
            ((_, clip_BVTCHW),) = batch.clips.items()
            feature_VTD = self._pooled(clip_BVTCHW.unflatten(1, (self.looks, -1)).flatten(0, 1))
            yield from feature_VTD.reshape(len(clip_BVTCHW), -1, feature_VTD.shape[-1])

    def _pooled(self, clip_BTCHW: Tensor) -> NDArray[np.float32]:
        """Features (B, T', D)."""
        parts = [self._computed(part.to(self.device)) for part in clip_BTCHW.split(self.at_once)]
        return torch.cat(parts).cpu().numpy()

    def _computed(self, clip_BTCHW: Tensor) -> Tensor:
        present = len(clip_BTCHW)
        copies = clip_BTCHW[-1:].expand(self.at_once - present, -1, -1, -1, -1)
        half = self.settings.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            feature_BTSD = self.backbone(torch.cat([clip_BTCHW, copies]))
        return pool(feature_BTSD[:present].float(), self.settings.tokens)


def _add_rows(
    writer: FeatureWriter,
    network: _Network,
    store: FrameStore,
    index: NDArray[np.int32],
    workers: int,
    name: str,
) -> None:
    start, waiting = time.monotonic(), Waiting()
    rows = network.rows(store, workers, waiting)
    for row, feature_TD in zip(progress(range(len(store)), f"cache {name}"), rows, strict=True):
        padded = len(set(index[row].tolist())) < index.shape[1]
        writer.add(store.video_ids[row], int(store.label_ids[row]), index[row], padded, feature_TD)
    taken = time.monotonic() - start
    rate, waited = len(store) * network.looks / taken, 100 * waiting.seconds / taken
    text = "%s: %d videos, %.1f clips/s, %.0f%% of the time waiting for clips"
    logger.info(text, name, len(store), rate, waited)


def _device(settings: BackboneSettings) -> torch.device:
    device = Accelerator().device
    if settings.precision == "bf16" and device.type != "cuda":
        raise UserError(
            f"precision: bf16 is for a GPU, and this job runs on {device.type}: use fp32, or ask for a GPU"
        )
    return device


def _warn_of_sizes(store: FrameStore, spec: BackboneSpec, crops: int) -> None:
    if (smallest := int(store.sizes.min() * spec.crop)) < spec.size:
        logger.warning("frames are enlarged from %d to %d pixels", smallest, spec.size)
    square = int((store.sizes[:, 0] == store.sizes[:, 1]).sum())
    if crops > 1 and spec.crop == 1 and square:
        logger.warning("%d of %d videos are square: their %d crops are the same", square, len(store), crops)


def _frames_of(frames_h5: Path, count: int, views: int) -> tuple[NDArray[np.int32], str]:
    """Source frames (N, views x count) of each video, and what decoded them."""
    with h5py.File(frames_h5, "r", locking=False) as file:
        index: NDArray[np.int32] = file["index"][:]
        decoder = str(file.attrs["decoder"])
    return index[:, view_positions(index.shape[1], count, views).reshape(-1)], decoder


def _check_room(output: Path, videos: int, shape: tuple[int, int], dtype: str) -> None:
    steps, width = shape
    needed = videos * steps * width * np.dtype(dtype).itemsize
    logger.info("%s: %d x %d x %d %s, %.1f MB", output, videos, steps, width, dtype, needed / 1e6)
    if needed > (free := shutil.disk_usage(output.parent).free):
        raise UserError(
            f"{output}: features of {needed / 1e6:.1f} MB do not fit on the disk, which has "
            f"{free / 1e6:.1f} MB left. Free space, choose another results_dir, or keep less with fp16 or "
            "tokens."
        )


@contextmanager
def _naming_batch(batch: int) -> Iterator[Any]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not any(text in str(error) for text in _OUT_OF_MEMORY):
            raise
        raise UserError(
            f"out of memory with --batch {batch}: lower it (compute.batch in a configuration), or take a "
            "smaller network or fewer frames"
        ) from error
