"""Train a fusion head: every combination of swept settings, of which validation takes one."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from vidkd.engine.accuracy import validation_row
from vidkd.engine.efficiency import count_parameters
from vidkd.engine.loop import Progress
from vidkd.engine.optim import one_group
from vidkd.engine.run import NETWORK
from vidkd.engine.runtime import explain_oom, start
from vidkd.features.batches import FeatureBatches, FeatureJoin
from vidkd.methods.fusion.method import Fuse
from vidkd.methods.fusion.model import FusionHead
from vidkd.methods.fusion.predict import logits, mean_gates
from vidkd.methods.fusion.settings import FusionSettings
from vidkd.methods.fusion.sources import FusionInputs, open_inputs
from vidkd.methods.train import Fitted, Job

log = logging.getLogger(__name__)

_Statistics = Mapping[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class _Trial:
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
        """Find the row of `history.csv` whose weights are kept."""
        return next(row for row in self.result.history if row["epoch"] == self.result.best_epoch)

    def described(self) -> dict[str, object]:
        """Describe it for `config.json`."""
        row = self.best_row
        return {
            "values": self.values,
            "val_top1": row["val_top1"],
            "val_loss": row["val_loss"],
            "best_epoch": self.result.best_epoch,
        }


def training(job: Job) -> Fitted:
    """Train all trials and choose one by validation.

    The trial of the best validation top-1 is taken, of several the one of the smallest loss, of these the
    first. A training that was stopped goes on; trials that had finished are not trained again.

    Raises:
        UserError: the inputs cannot be used, see open_inputs; there are fewer training videos than one batch,
            a feature is NaN or infinite, memory is too small, or the loss diverged.
    """
    settings: FusionSettings = job.settings
    sources, every = open_inputs(settings, job.inputs), settings.trials()
    sizes = sorted({trial.batch_size for trial in every})
    knob = f"batch_size {' or '.join(map(str, sizes))}: lower it, or width"
    trials: list[_Trial] = []
    with explain_oom(knob):
        statistics = sources.statistics()
        for number, trial in enumerate(every):
            values = {name: getattr(trial, name) for name in settings.sweep}
            log.info("trial %d of %d: %s", number + 1, len(every), json.dumps(values))
            result = _train(trial, sources, statistics, job, knob, f"trial{number}")
            trials.append(_Trial(values, trial, result))
        chosen = max(range(len(trials)), key=lambda number: _merit(trials[number]))
        log.info("validation chooses %s", json.dumps(trials[chosen].values))
        return _fitted(job, trials, chosen, sources)


def _validation(
    join: FeatureJoin, batch_size: int, accelerator: Accelerator
) -> Callable[[Fuse], tuple[float, dict[str, float]]]:
    """Make what the loop calls between epochs: top-1 accuracy in percent, and columns of `history.csv`."""
    label_B = torch.from_numpy(join.label_ids.astype(np.int64))

    def validate(method: Fuse) -> tuple[float, dict[str, float]]:
        method.eval()
        with accelerator.autocast():
            logit_BK = logits(method, join, batch_size, accelerator.device)
        row = validation_row(logit_BK, label_B)
        return row["val_top1"], row

    return validate


def _train(
    settings: FusionSettings, sources: FusionInputs, statistics: _Statistics, job: Job, knob: str, part: str
) -> Progress:
    """One trial, from the same seed as every other."""
    accelerator = start(settings, job.seed)
    join, batch_size = sources.joins["train"], settings.batch_size
    data = FeatureBatches(join, batch_size, job.seed, device=accelerator.device)
    method = _method(settings, sources)
    method.model.standardise(statistics)
    validate = _validation(sources.joins["val"], batch_size, accelerator)
    return job.loop(method, one_group(method), data, validate, settings, accelerator, knob=knob, part=part)


def _method(settings: FusionSettings, sources: FusionInputs) -> Fuse:
    head = FusionHead(sources.shapes, len(sources.classes), settings)
    return Fuse(head, sources.converters(), sources.student, settings.gate_sparsity)


def _merit(trial: _Trial) -> tuple[float, float]:
    return trial.best_row["val_top1"], -trial.best_row["val_loss"]


def _fitted(job: Job, trials: list[_Trial], chosen: int, sources: FusionInputs) -> Fitted:
    """The chosen trial, with the history of all."""
    taken = trials[chosen]
    method = _method(taken.settings, sources)
    method.load_state_dict(taken.result.best_weights)
    fitted = job.fitted(
        taken.result,
        taken.settings,
        student=sources.student,
        classes=sources.classes,
        trial=chosen,
        trials=[trial.described() for trial in trials],
        sources={name: of.described() for name, of in sources.inputs.items()},
        params=count_parameters(method),
        gates=mean_gates(method.eval(), sources.joins["val"], taken.settings.batch_size),
        left_out=sources.left_out,
    )
    history: list[dict[str, Any]] = [
        {"trial": number, **_columns(trial.values), **row}
        for number, trial in enumerate(trials)
        for row in trial.result.history
    ]
    # Converters that were trained with the head are written with it, beside the network.
    weights = {name.removeprefix(NETWORK): value for name, value in taken.result.best_weights.items()}
    return replace(fitted, history=history, weights=weights)


def _columns(values: Mapping[str, object]) -> dict[str, object]:
    """Swept values as columns; of another name than what changes from epoch to epoch, as `lr` does."""
    return {
        f"trial_{name}": value if isinstance(value, str | int | float) else json.dumps(value)
        for name, value in values.items()
    }
