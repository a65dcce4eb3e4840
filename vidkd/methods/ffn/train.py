"""Train one variant of FFN or TSM with one seed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pandas as pd
import torch
from accelerate import Accelerator
from safetensors.torch import save
from torch.utils.data import DataLoader

from vidkd.config.ffn import FFNSettings
from vidkd.data.clips import Batch, EpochBatches, TrainingClips, check_clips, clip_loader, evaluation_loader
from vidkd.data.frames import FrameStore
from vidkd.engine.checkpoint import drop_state, only_run
from vidkd.engine.loop import Progress, Trainer
from vidkd.engine.optim import official_groups, one_group
from vidkd.engine.runtime import start
from vidkd.errors import UserError
from vidkd.evaluate.accuracy import accuracy_by_count
from vidkd.files import atomic, write_text
from vidkd.methods.ffn.method import FFN
from vidkd.methods.ffn.start import start_from

log = logging.getLogger(__name__)

RUN_FILES = ("model.safetensors", "config.json", "history.csv")


class ClipBatches:
    """Training batches of a frame store."""

    def __init__(self, clips: TrainingClips, batch_size: int, seed: int, workers: int) -> None:
        self.clips, self.batch_size, self.seed, self.workers = clips, batch_size, seed, workers
        self.steps_per_epoch = len(clips.store) // batch_size

    def batches(self, epoch: int, start: int) -> Iterable[Batch]:
        """The batches of `epoch` from number `start` on."""
        order = EpochBatches(len(self.clips.store), self.batch_size, self.seed, epoch, start)
        loader = clip_loader(self.clips, self.workers, batch_sampler=order)
        return islice(loader, self.steps_per_epoch - start)


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
    accelerator = start(settings, seed)
    classes = read_classes(classes_json)
    train_store, val_store = FrameStore(train_shards), FrameStore(val_shards)
    _check_data(settings, train_store, val_store)
    method = FFN(settings, len(classes))
    start_from(method.model, settings, init_from)
    groups = official_groups(method, settings) if settings.param_groups == "official" else one_group(method)
    clips = TrainingClips(train_store, classes, settings.frame_counts, settings, seed)
    data = ClipBatches(clips, settings.batch_size, seed, workers)
    if max_batches is not None:
        data.steps_per_epoch = min(data.steps_per_epoch, max_batches)
    loader = evaluation_loader(val_store, settings.frame_counts, settings.size, settings.batch_size, workers)

    def validate(method: FFN) -> tuple[float, dict[str, float]]:
        accuracy = validation_accuracy(method, loader, accelerator, max_batches)
        return method.selection(accuracy), {f"val_acc_{count}f": value for count, value in accuracy.items()}

    state_dir = run_dir / ".state"
    with only_run(state_dir):
        trainer = Trainer(method, groups, data, validate, settings, accelerator, seed, state_dir, stamp)
        result = trainer.fit()
        _write_run(run_dir, result, settings, classes, seed)
        drop_state(state_dir)


def read_classes(path: Path) -> list[str]:
    """Class names in the order of their label ids.

    Raises:
        UserError: there is no such file.
    """
    if not path.is_file():
        raise UserError(
            f"--classes: {path} does not exist: run `snakemake {path}` first, or name another file."
        )
    return list(json.loads(path.read_text(encoding="utf-8")))


def with_seed_counts(
    settings: FFNSettings, low: int | None, medium: int | None, high: int | None
) -> FFNSettings:
    """Settings whose frame counts come from seed 004's three options, when any of them is given."""
    if not (low or medium or high):
        return settings
    counts = sorted({low or 4, medium or 8, high or 16})
    return FFNSettings.model_validate(settings.model_dump() | {"frame_counts": counts})


@torch.inference_mode()
def validation_accuracy(
    method: FFN, loader: DataLoader, accelerator: Accelerator, max_batches: int | None = None
) -> dict[int, float]:
    """Top-1 accuracy in percent by frame count."""
    method.eval()
    scores, labels = [], []
    for number, batch in enumerate(loader):
        if number == max_batches:
            break
        with accelerator.autocast():
            scores.append(method.scores(batch.to(accelerator.device)))
        labels.append(batch.label)
    by_count = {count: torch.cat([s[count].float().cpu() for s in scores]) for count in scores[0]}
    return accuracy_by_count(by_count, torch.cat(labels))


def _check_data(settings: FFNSettings, train: FrameStore, val: FrameStore) -> None:
    for store in (train, val):
        check_clips(store, settings.size, max(settings.frame_counts))
    if len(train) < settings.batch_size:
        raise UserError(
            f"batch_size {settings.batch_size} is larger than the {len(train)} training clips: lower it."
        )


def _write_run(
    run_dir: Path,
    result: Progress,
    settings: FFNSettings,
    classes: list[str],
    seed: int,
) -> None:
    with atomic(run_dir / "history.csv") as temporary:
        pd.DataFrame(result.history).to_csv(temporary, index=False)
    config = {
        "settings": settings.model_dump(mode="json"),
        "classes": classes,
        "seed": seed,
        "best_epoch": result.best_epoch,
    }
    write_text(run_dir / "config.json", json.dumps(config, indent=2) + "\n")
    prefix = "model."
    weights = {n.removeprefix(prefix): v.contiguous() for n, v in result.best_weights.items()}
    # Through memory: on a full disk save_file fails with an error of its own.
    with atomic(run_dir / "model.safetensors") as temporary:
        temporary.write_bytes(save(weights))
    log.info("best epoch %d; weights in %s", result.best_epoch, run_dir / "model.safetensors")
