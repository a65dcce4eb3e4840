"""Train one variant of FFN or TSM with one seed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from vidkd.data.clips import (
    Batch,
    ClipBatches,
    TrainingClips,
    check_clips,
    check_labelled,
    evaluation_loader,
)  # fmt: skip
from vidkd.data.frames import FrameStore
from vidkd.engine.accuracy import accuracy_by_count
from vidkd.engine.optim import official_groups, one_group
from vidkd.engine.processes import gathered
from vidkd.engine.runtime import start_shared
from vidkd.evaluate.scores import score_clips
from vidkd.methods.ffn.loss import counts_of_step, loss_terms
from vidkd.methods.ffn.model import build_model
from vidkd.methods.ffn.settings import FFNSettings
from vidkd.methods.ffn.start import start_from
from vidkd.methods.train import Fitted, Job


class FFN(nn.Module):
    """The network with its objective, as the loop sees it; TSM is the case of one frame count."""

    def __init__(self, settings: FFNSettings, n_classes: int) -> None:
        super().__init__()
        self.settings = settings
        self.model = build_model(settings, n_classes)

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the weighted loss terms of a training batch, which add up to the loss."""
        counts, total = counts_of_step(self.settings, generator), self.settings.batch_size
        logits = {count: gathered(self.model(batch.clips[count]), total) for count in counts}
        return loss_terms(logits, gathered(batch.label, total), self.settings)

    def scores(self, batch: Batch) -> dict[int, Tensor]:
        """Return logits (B, K) by frame count of an evaluation batch."""
        return {count: self.model(clip) for count, clip in batch.clips.items()}

    def selection(self, accuracy: dict[int, float]) -> float:
        """Return the validation figure that chooses the best epoch."""
        if self.settings.select == "largest":
            return accuracy[max(accuracy)]
        return sum(accuracy.values()) / len(accuracy)


def training(job: Job) -> Fitted:
    """Train one variant.

    Raises:
        UserError: the data cannot serve these settings, the weights do not fit, or the loss diverged.
    """
    settings: FFNSettings = job.settings
    accelerator = start_shared(settings, job.seed)
    classes = job.inputs.class_names
    train_store, val_store = FrameStore(job.inputs.frames("train")), FrameStore(job.inputs.frames("val"))
    check_labelled(train_store)
    largest = max(settings.frame_counts)
    check_clips(train_store, largest, settings, settings.frame_sampling)
    check_clips(val_store, largest, settings, settings.eval_frame_sampling)
    clips = TrainingClips(train_store, classes, settings.frame_counts, settings, job.seed)
    data = ClipBatches(clips, settings.batch_size, job.seed, job.workers, job.max_batches)
    method = FFN(settings, len(classes))
    start_from(
        method.model, settings, job.inputs.result("init") if "init" in job.inputs.needs.results else None
    )
    groups = official_groups(method, settings) if settings.param_groups == "official" else one_group(method)
    validate = _validation(settings, val_store, accelerator, job.workers, job.max_batches)
    knob = f"batch_size {settings.batch_size}: lower it, or size, frame_counts or workers ({job.workers})"
    result = job.loop(method, groups, data, validate, settings, accelerator, knob=knob)
    return job.fitted(result, settings, classes=classes)


def _validation(
    settings: FFNSettings,
    store: FrameStore,
    accelerator: Accelerator,
    workers: int,
    max_batches: int | None = None,
) -> Callable[[FFN], tuple[float, dict[str, float]]]:
    """Make what the loop calls between epochs: the figure that chooses the best, and columns of history.

    The columns are top-1 accuracy in percent by frame count: `val_acc_4f, …`.
    """
    loader = evaluation_loader(
        store, settings.frame_counts, settings, settings.batch_size, workers, max_batches
    )

    def validate(method: FFN) -> tuple[float, dict[str, float]]:
        def score(batch: Batch) -> dict[int, Tensor]:
            with accelerator.autocast():
                return method.scores(batch)

        method.eval()
        scores = score_clips(score, loader, accelerator.device)
        seen = len(scores[settings.frame_counts[0]])
        accuracy = accuracy_by_count(scores, torch.from_numpy(store.label_ids[:seen]))
        return method.selection(accuracy), {f"val_acc_{count}f": value for count, value in accuracy.items()}

    return validate
