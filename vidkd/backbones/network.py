"""A frozen network at work: clips in, the rows of a feature cache out.

On a CPU a network sees one clip at a time, which is as fast with networks of a useful size; on a GPU the last
batch is filled up. The size of a batch decides how a library sums, so that a row never depends on the videos
beside it, and on a CPU not on the batch size either: cached or computed when needed, it is the same bits.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import PartialState
from numpy.typing import NDArray
from torch import Tensor

from vidkd.backbones.protocol import Backbone, BackboneSpec, pool
from vidkd.config.backbones import BackboneSettings
from vidkd.data.clips import clip_loader
from vidkd.data.views import Frames, ViewedClips
from vidkd.engine.logging import Waiting
from vidkd.errors import UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Network:
    """A backbone on its device, and how clips go through it.

    Attributes:
        backbone: the network.
        settings: which views of a video it sees, and what of its features is kept.
        device: where it runs.
        batch: clips of a batch; no effect on a CPU's result.
    """

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
        _, steps, width = self.pooled(clip).shape
        return self.looks * steps, width

    def rows(
        self, store: Frames, wanted: Sequence[int], workers: int, waiting: Waiting
    ) -> Iterator[NDArray[np.float32]]:
        """Features (V x T', D) of the videos `wanted`, in their order; the view is slowest.

        Args:
            store: the videos.
            wanted: rows of the store.
            workers: processes that read clips while the network computes; no effect on the result.
            waiting: counts the time that was spent waiting for clips.
        """
        spec, settings = self.backbone.spec, self.settings
        clips = ViewedClips(store, spec.frames, spec.size, spec.crop, settings.views, settings.crops)
        loader = clip_loader(clips, workers, batch_size=self.videos, sampler=wanted)
        for batch in waiting.each(loader):
            ((_, clip_BVTCHW),) = batch.clips.items()
            feature_VTD = self.pooled(clip_BVTCHW.unflatten(1, (self.looks, -1)).flatten(0, 1))
            yield from feature_VTD.reshape(len(clip_BVTCHW), -1, feature_VTD.shape[-1])

    def pooled(self, clip_BTCHW: Tensor) -> NDArray[np.float32]:
        """Features (B, T', D) of uint8 clips (B, T, 3, size, size)."""
        parts = [self._computed(part.to(self.device)) for part in clip_BTCHW.split(self.at_once)]
        return torch.cat(parts).cpu().numpy()

    def _computed(self, clip_BTCHW: Tensor) -> Tensor:
        present = len(clip_BTCHW)
        copies = clip_BTCHW[-1:].expand(self.at_once - present, -1, -1, -1, -1)
        half = self.settings.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            feature_BTSD = self.backbone(torch.cat([clip_BTCHW, copies]))
        return pool(feature_BTSD[:present].float(), self.settings.tokens)


def device_of(settings: BackboneSettings) -> torch.device:
    """Where the network of these settings runs: CUDA > MPS > CPU.

    Raises:
        UserError: its precision is for a GPU, and there is none.
    """
    device = PartialState().device  # an Accelerator would settle the precision of a training in this process
    if settings.precision == "bf16" and device.type != "cuda":
        raise UserError(
            f"precision: bf16 is for a GPU, and this job runs on {device.type}: use fp32, or ask for a GPU"
        )
    return device


def warn_of_sizes(store: Frames, spec: BackboneSpec, crops: int) -> None:
    """Say in the log that frames are smaller than the network's, or that crops are the same."""
    if not len(store):
        return
    if (smallest := int(store.sizes.min() * spec.crop)) < spec.size:
        logger.warning("frames are enlarged from %d to %d pixels", smallest, spec.size)
    square = int((store.sizes[:, 0] == store.sizes[:, 1]).sum())
    if crops > 1 and spec.crop == 1 and square:
        logger.warning("%d of %d videos are square: their %d crops are the same", square, len(store), crops)
