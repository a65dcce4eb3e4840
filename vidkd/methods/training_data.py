"""Videos to learn from of which some have a label: what methods with few labels share."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from vidkd.config.clips import ClipSettings
from vidkd.data.clips import Batch, TrainingClips, check_clips, collate
from vidkd.data.frames import FrameStore
from vidkd.data.label_ids import read_labels
from vidkd.data.selected import SelectedClips
from vidkd.data.tables import UNLABELLED
from vidkd.engine.processes import part
from vidkd.methods.inputs import Inputs

log = logging.getLogger(__name__)


def training_clips(
    inputs: Inputs,
    classes: Sequence[str],
    settings: ClipSettings,
    frames: int,
    seed: int,
    *,
    unlabelled: bool,
    all_labels: bool,
) -> TrainingClips:
    """The training clips that some term of a loss can use.

    Args:
        inputs: frames of the training split, and the label of each video.
        classes: class names.
        settings: of the clips.
        frames: of a clip.
        seed: of the augmentation.
        unlabelled: clips without a label are used as well.
        all_labels: labels that are not marked are used as well.

    Raises:
        UserError: the videos cannot give such clips, or none of them has a label where labels alone teach.
    """
    store = FrameStore(inputs.frames("train"))
    marked_only = inputs.needs.marked_only and not all_labels
    labels = read_labels(inputs.labels, store.video_ids, len(classes), marked_only=marked_only)
    known = labels != UNLABELLED
    rows = np.arange(len(store)) if unlabelled else np.flatnonzero(known)
    log.info("%d training videos, %d with a label, %d used", len(store), known.sum(), len(rows))
    selected = SelectedClips(store, rows, labels[rows])
    check_clips(selected, frames, settings, settings.frame_sampling)
    return TrainingClips(selected, classes, [frames], settings, seed)


def counts(clips: TrainingClips) -> dict[str, int]:
    """For `config.json`: how many clips were used, and how many of these with a label."""
    labelled = clips.store.label_ids != UNLABELLED
    return {"train_clips": len(labelled), "labelled_clips": int(labelled.sum())}


def first_batch(clips: TrainingClips, batch_size: int) -> Batch:
    """A batch of the first epoch that has a clip with a label, if there is one; this process's part of it."""
    labelled_first = np.argsort(clips.store.label_ids == UNLABELLED, kind="stable")
    return collate([clips[(0, int(row))] for row in labelled_first[:batch_size][part(batch_size)]])
