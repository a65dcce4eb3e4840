"""Train one variant of FFN or TSM with one seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from vidkd.data.clips import (
    Batch,
    ClipBatches,
    TrainingClips,
    check_clips,
    check_labelled,
    evaluation_loader,
)  # fmt: skip
from vidkd.data.frames import FrameStore
from vidkd.data.tables import read_classes
from vidkd.engine.checkpoint import drop_state, only_run
from vidkd.engine.loop import Trainer
from vidkd.engine.optim import official_groups, one_group
from vidkd.engine.run import write_run
from vidkd.engine.runtime import naming_knob, start_shared
from vidkd.errors import UserError
from vidkd.evaluate.accuracy import accuracy_by_count
from vidkd.evaluate.scores import score_clips
from vidkd.methods.ffn.method import FFN
from vidkd.methods.ffn.settings import FFNSettings
from vidkd.methods.ffn.start import start_from


def train(
    settings: FFNSettings,
    classes_json: Path,
    train_shards: list[Path],
    val_shards: list[Path],
    run_dir: Path,
    *,
    seed: int,
    stamp: str,
    workers: int = 0,
    init_from: Path | None = None,
    max_batches: int | None = None,
) -> None:
    """Train and write `model.safetensors`, `config.json` and `history.csv` into `run_dir`.

    A run that was stopped goes on from its state when `stamp` (settings, code, inputs) is the same.

    Args:
        settings: the variant's settings.
        classes_json: list of class names; a label id is a position in it.
        train_shards: frame stores to train on.
        val_shards: frame stores that choose the best epoch.
        run_dir: folder of the run.
        seed: seed of the weights, the order and the augmentation.
        stamp: digest of all that the result depends on.
        workers: loader processes.
        init_from: weights of the variant that this one starts from.
        max_batches: cut training and validation to so many batches (a test run).

    Raises:
        UserError: the data cannot serve these settings, the weights do not fit, or the loss diverged.
    """
    accelerator = start_shared(settings, seed)
    classes = read_classes(classes_json)
    if len(classes) < 2:
        raise UserError(f"{classes_json} has {len(classes)} class: a network has nothing to tell apart")
    train_store, val_store = FrameStore(train_shards), FrameStore(val_shards)
    check_labelled(train_store)
    largest = max(settings.frame_counts)
    check_clips(train_store, largest, settings, settings.frame_sampling)
    check_clips(val_store, largest, settings, settings.eval_frame_sampling)
    clips = TrainingClips(train_store, classes, settings.frame_counts, settings, seed)
    data = ClipBatches(clips, settings.batch_size, seed, workers, max_batches)
    method = FFN(settings, len(classes))
    start_from(method.model, settings, init_from)
    groups = official_groups(method, settings) if settings.param_groups == "official" else one_group(method)
    validate = validation(settings, val_store, accelerator, workers, max_batches)
    state_dir = run_dir / ".state"
    knob = f"batch_size {settings.batch_size}: lower it, or size, frame_counts or workers ({workers})"
    with only_run(state_dir), naming_knob(knob):
        trainer = Trainer(method, groups, data, validate, settings, accelerator, seed, state_dir, stamp)
        write_run(run_dir, trainer.fit(), settings, seed, classes=classes)
        drop_state(state_dir)


def validation(
    settings: FFNSettings,
    store: FrameStore,
    accelerator: Accelerator,
    workers: int,
    max_batches: int | None = None,
) -> Callable[[FFN], tuple[float, dict[str, float]]]:
    """What the loop calls between epochs: the figure that chooses the best one, and columns of `history.csv`.

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
