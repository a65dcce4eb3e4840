"""Whether a bundle says the same of videos as its head says of cached features, clip by clip.

In both modes a clip goes through the head by itself, so that what differs is where its features come from
alone: the size of a batch moves the last bits of a logit, up to 7e-6 on the demo.

Shapes in names: N clips, K classes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vidkd.artefacts import file_sha256
from vidkd.data.frames import FrameStore
from vidkd.engine.logging import Waiting, progress
from vidkd.errors import UserError
from vidkd.methods.fusion.bundle import Bundle, bundle_config, load_bundle
from vidkd.methods.fusion.predict import load_fusion, logits, open_test
from vidkd.methods.inputs import Inputs

log = logging.getLogger(__name__)

TOLERANCE = {"float32": 1e-5, "float16": 0.02}
"""Largest difference of a logit that is put down to how the cache is rounded. Of float16 features, each is
within 2^-11 of itself; what that moves a logit by was measured (docs/fusion.md)."""


def compare_modes(inputs: Inputs, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Make one row; `same_predictions` is the number of clips of which both say the same class.

    Args:
        inputs: the `bundle`, which sees the test frames, and the `head` that was exported, which sees the
            cached test features.
        settings: nothing.

    Raises:
        UserError: the bundle cannot be used or is of another run, or features or frames are missing or of
            other networks.
    """
    folder, weights = inputs.result("bundle"), inputs.weights("head")
    if bundle_config(folder)["files"]["head/model.safetensors"] != file_sha256(weights):
        raise UserError(f"{folder} was exported from another head than {weights}: export it again")
    join = open_test(weights, inputs)
    bundle = load_bundle(folder)
    cached_NK = logits(load_fusion(weights), join, 1, torch.device("cpu"))
    video_NK = video_logits(bundle, FrameStore(inputs.frames("test")), join.video_ids)
    largest = (cached_NK - video_NK).abs().max().item()
    first, *_ = join.stores.values()
    dtype = str(first.dtype).removeprefix("torch.")
    same = int((cached_NK.argmax(1) == video_NK.argmax(1)).sum())
    limit = TOLERANCE[dtype]
    row = {
        "variant": bundle.name, "seed": bundle.seed, "clips": len(join), "student_dtype": dtype,
        "max_logit_difference": f"{largest:.2e}", "tolerance": f"{limit:g}",
        "same_predictions": same, "agree": largest <= limit,
    }  # fmt: skip
    log.info("%s", ", ".join(f"{name} {value}" for name, value in row.items()))
    return pd.DataFrame([row])


def video_logits(bundle: Bundle, frames: FrameStore, video_ids: Sequence[str]) -> Tensor:
    """Return logits (N, K) of these videos by the whole bundle, from their frames.

    Raises:
        UserError: the store lacks one of the videos.
    """
    row_of = {video_id: row for row, video_id in enumerate(frames.video_ids)}
    if missing := [video_id for video_id in video_ids if video_id not in row_of]:
        raise UserError(
            f"the frame stores lack {len(missing)} videos, {missing[0]!r} among them: name all shards"
        )
    rows = bundle.student.rows(frames, [row_of[video_id] for video_id in video_ids], 0, Waiting())
    found = [
        bundle.logits(torch.from_numpy(np.ascontiguousarray(row))[None])
        for _, row in zip(progress(video_ids, f"video mode of {bundle.name}"), rows, strict=True)
    ]
    return torch.cat(found)
