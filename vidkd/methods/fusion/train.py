"""Train a fusion head with one seed: every combination of swept settings, of which validation takes one."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from vidkd.engine.checkpoint import drop_state, only_run
from vidkd.engine.loop import Progress, Trainer
from vidkd.engine.optim import one_group
from vidkd.engine.run import write_files
from vidkd.engine.runtime import naming_knob, start
from vidkd.errors import UserError
from vidkd.evaluate.accuracy import top_k
from vidkd.evaluate.efficiency import count_parameters
from vidkd.features.batches import FeatureBatches, FeatureJoin
from vidkd.methods.fusion.load import file_names
from vidkd.methods.fusion.method import Fuse
from vidkd.methods.fusion.model import FusionHead
from vidkd.methods.fusion.predict import logits, mean_gates, predict
from vidkd.methods.fusion.settings import FusionSettings
from vidkd.methods.fusion.sources import Sources
from vidkd.methods.probes.loss import cross_entropy

log = logging.getLogger(__name__)

Statistics = Mapping[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Trial:
    """One combination of swept settings, trained.

    Attributes:
        values: of the settings that are swept.
        settings: with these values.
        result: the finished progress.
    """

    values: dict[str, object]
    settings: FusionSettings
    result: Progress

    @property
    def best_row(self) -> dict[str, float]:
        """The row of `history.csv` whose weights are kept."""
        return next(row for row in self.result.history if row["epoch"] == self.result.best_epoch)

    def described(self) -> dict[str, object]:
        """What `config.json` says of it."""
        row = self.best_row
        return {
            "values": self.values,
            "val_top1": row["val_top1"],
            "val_loss": row["val_loss"],
            "best_epoch": self.result.best_epoch,
        }


def train(
    settings: FusionSettings,
    sources: Sources,
    run_dir: Path,
    about: Mapping[str, str],
    *,
    seed: int,
    stamp: str,
) -> None:
    """Train all trials, choose by validation, write the run of the chosen one, and predict the test split.

    The trial of the best validation top-1 is taken, of several the one of the smallest loss, of these the
    first. A run that was stopped goes on from its state when `stamp` (settings, code, inputs) is the same;
    trials that had finished are not trained again.

    Args:
        settings: of the head, with what is swept.
        sources: inputs and labels; test is read after everything has been chosen.
        run_dir: folder of the run.
        about: further entries of `config.json`: the name of the `fusion`.
        seed: of the weights, the order and the dropout of every trial.
        stamp: digest of all that the result depends on.

    Raises:
        UserError: there are fewer training videos than one batch, a feature is NaN or infinite, memory is too
            small, or the loss diverged.
    """
    state_dir = run_dir / ".state"
    sizes = sorted({trial.batch_size for trial in settings.trials()})
    knob = f"batch_size {' or '.join(map(str, sizes))}: lower it, or width"
    with only_run(state_dir), naming_knob(knob):
        statistics = sources.statistics()
        trials: list[Trial] = []
        for number, trial in enumerate(settings.trials()):
            values = {name: getattr(trial, name) for name in settings.sweep}
            log.info("trial %d of %d: %s", number + 1, len(settings.trials()), json.dumps(values))
            folder = state_dir / f"trial{number}"
            trials.append(Trial(values, trial, _train(trial, sources, statistics, seed, folder, stamp)))
        chosen = max(range(len(trials)), key=lambda number: _merit(trials[number]))
        log.info("validation chooses %s", json.dumps(trials[chosen].values))
        _write(run_dir, trials, chosen, sources, {**about, "seed": seed})
        predict(run_dir / "model.safetensors", sources.joins["test"], run_dir / "predictions.csv")
        drop_state(state_dir)


def validation(
    join: FeatureJoin, batch_size: int, accelerator: Accelerator
) -> Callable[[Fuse], tuple[float, dict[str, float]]]:
    """What the loop calls between epochs: top-1 accuracy in percent, and columns of `history.csv`.

    Logits that are not finite end the training: as an accuracy they would pass for those of the first class.
    """
    label_B = torch.from_numpy(join.label_ids.astype(np.int64))

    def validate(method: Fuse) -> tuple[float, dict[str, float]]:
        method.eval()
        with accelerator.autocast():
            logit_BK = logits(method, join, batch_size, accelerator.device)
        if not logit_BK.isfinite().all():
            raise UserError("the logits of validation became NaN or infinite: lower lr, or set clip_grad")
        accuracy = top_k(logit_BK, label_B)
        loss = cross_entropy(logit_BK, label_B)["ce_loss"].item()
        return accuracy, {"val_loss": loss, "val_top1": accuracy}

    return validate


def _train(
    settings: FusionSettings, sources: Sources, statistics: Statistics, seed: int, state_dir: Path, stamp: str
) -> Progress:
    """One trial, from the same seed as every other."""
    accelerator = start(settings, seed)
    join, batch_size = sources.joins["train"], settings.batch_size
    data = FeatureBatches(join, batch_size, seed, device=accelerator.device)
    method = _method(settings, sources)
    method.model.standardise(statistics)
    validate = validation(sources.joins["val"], batch_size, accelerator)
    groups = one_group(method)
    return Trainer(method, groups, data, validate, settings, accelerator, seed, state_dir, stamp).fit()


def _method(settings: FusionSettings, sources: Sources) -> Fuse:
    head = FusionHead(sources.shapes, len(sources.classes), settings)
    return Fuse(head, sources.converters(), sources.student, settings.gate_sparsity)


def _merit(trial: Trial) -> tuple[float, float]:
    return trial.best_row["val_top1"], -trial.best_row["val_loss"]


def _write(
    run_dir: Path, trials: list[Trial], chosen: int, sources: Sources, about: Mapping[str, object]
) -> None:
    taken = trials[chosen]
    method = _method(taken.settings, sources)
    method.load_state_dict(taken.result.best_weights)
    config = {
        "settings": taken.settings.model_dump(mode="json"),
        **about,
        "student": sources.student,
        "classes": sources.classes,
        "best_epoch": taken.result.best_epoch,
        "trial": chosen,
        "trials": [trial.described() for trial in trials],
        "sources": {name: of.described() for name, of in sources.inputs.items()},
        "params": count_parameters(method),
        "gates": mean_gates(method.eval(), sources.joins["val"], taken.settings.batch_size),
        "left_out": sources.left_out,
    }
    history: list[dict[str, Any]] = [
        {"trial": number, **_columns(trial.values), **row}
        for number, trial in enumerate(trials)
        for row in trial.result.history
    ]
    write_files(run_dir, history, config, file_names(taken.result.best_weights))


def _columns(values: Mapping[str, object]) -> dict[str, object]:
    """Swept values as columns; of another name than what changes from epoch to epoch, as `lr` does."""
    return {
        f"trial_{name}": value if isinstance(value, str | int | float) else json.dumps(value)
        for name, value in values.items()
    }
