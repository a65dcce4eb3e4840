"""Extraction: what a frozen network makes of every video of a frame store, computed once."""

from __future__ import annotations

import importlib.metadata
import logging
import time
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from vidkd.backbones.network import Network, device_of, warn_of_sizes
from vidkd.backbones.protocol import Backbone
from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
from vidkd.data.frames import FrameStore
from vidkd.data.hdf5 import text_of
from vidkd.data.views import view_positions
from vidkd.engine.cpu import use_cpu
from vidkd.engine.logging import Waiting, progress
from vidkd.engine.runtime import explain_oom
from vidkd.features.meta import FeatureMeta
from vidkd.features.writer import FeatureWriter, check_room, feature_writer

logger = logging.getLogger(__name__)

LIBRARIES = ("torch", "timm", "open_clip_torch", "transformers")
"""Packages that compute features; their versions are written beside these."""

_REMEDY = "lower it (compute.batch in a configuration), or take a smaller network or fewer frames"
_NO_ROOM = "Free space, choose another results_dir, or keep less with fp16 or tokens."


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
    use_cpu(settings.cpu_threads)
    # PyTorch would compute convolutions of float32 with ten bits of mantissa.
    torch.backends.cudnn.allow_tf32 = False
    store = FrameStore([frames_h5])
    network = Network(load_backbone(settings), settings, device_of(settings), batch)
    index, decoder = _frames_of(frames_h5, network.backbone.spec.frames, settings.views)
    meta = feature_meta(network.backbone, name, settings, store.digest, decoder)
    with feature_writer(output_h5, meta, len(store)) as writer:
        if len(store):
            with explain_oom(f"--batch {batch}: {_REMEDY}"):
                check_room(output_h5, len(store), network.row_shape(), meta.dtype, _NO_ROOM)
                _add_rows(writer, network, store, index, workers, name)
    return [frames_h5, *network.backbone.origin.files]


def feature_meta(
    backbone: Backbone, name: str, settings: BackboneSettings, frames_digest: str, decoder: str
) -> FeatureMeta:
    """What features say about themselves.

    Args:
        backbone: what computes them.
        name: of the backbone in the configuration.
        settings: of the backbone, and what is kept.
        frames_digest: of the frame store.
        decoder: what decoded the videos, as the frame store says.
    """
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
        decoder=decoder, frames_digest=frames_digest,
        versions={library: importlib.metadata.version(library) for library in LIBRARIES},
    )  # fmt: skip


def _add_rows(
    writer: FeatureWriter,
    network: Network,
    store: FrameStore,
    index: NDArray[np.int32],
    workers: int,
    name: str,
) -> None:
    start, waiting = time.monotonic(), Waiting()
    warn_of_sizes(store, network.backbone.spec, network.settings.crops)
    rows = network.rows(store, range(len(store)), workers, waiting)
    for row, feature_TD in zip(progress(range(len(store)), f"cache {name}"), rows, strict=True):
        padded = len(set(index[row].tolist())) < index.shape[1]
        writer.add(store.video_ids[row], int(store.label_ids[row]), index[row], padded, feature_TD)
    taken = time.monotonic() - start
    rate, waited = len(store) * network.looks / taken, 100 * waiting.seconds / taken
    text = "%s: %d videos, %.1f clips/s, %.0f%% of the time waiting for clips"
    logger.info(text, name, len(store), rate, waited)


def _frames_of(frames_h5: Path, count: int, views: int) -> tuple[NDArray[np.int32], str]:
    """Source frames (N, views x count) of each video, and what decoded them."""
    with h5py.File(frames_h5, "r", locking=False) as file:
        index: NDArray[np.int32] = file["index"][:]
        decoder = str(text_of(file.attrs["decoder"]))
    return index[:, view_positions(index.shape[1], count, views).reshape(-1)], decoder
