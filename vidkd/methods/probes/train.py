"""Train an attentive probe with one seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from vidkd.engine.checkpoint import drop_state, only_run
from vidkd.engine.loop import Trainer
from vidkd.engine.optim import one_group
from vidkd.engine.run import write_run
from vidkd.engine.runtime import start
from vidkd.evaluate.accuracy import top_k
from vidkd.evaluate.efficiency import count_parameters
from vidkd.features.batches import FeatureBatches, FeatureJoin
from vidkd.features.tokens import token_statistics
from vidkd.methods.probes.loss import cross_entropy
from vidkd.methods.probes.method import Probe
from vidkd.methods.probes.model import AttentiveProbe
from vidkd.methods.probes.predict import logits
from vidkd.methods.probes.rows import ProbeRows
from vidkd.methods.probes.settings import HeadSettings


def fit(
    settings: HeadSettings, rows: ProbeRows, run_dir: Path, about: dict[str, object], *, seed: int, stamp: str
) -> None:
    """Train, and write the run of the epoch that validation prefers.

    A run that was stopped goes on from its state when `stamp` (settings, code, inputs) is the same.

    Args:
        settings: of all heads.
        rows: features and labels; test is not read.
        run_dir: folder of the run.
        about: further entries of `config.json`.
        seed: of the weights, the order and the dropout.
        stamp: digest of all that the result depends on.

    Raises:
        UserError: there are fewer training videos than one batch, a feature is NaN or infinite, or the loss
            diverged.
    """
    own = settings.attentive
    accelerator = start(own, seed)
    data = FeatureBatches(rows.train, own.batch_size, seed, device=accelerator.device)
    model = AttentiveProbe(rows.width, len(rows.classes), own)
    (statistics,) = token_statistics(rows.train).values()
    model.standardise.set(*statistics)
    method, more = Probe(model), about | {"params": count_parameters(model)}
    validate = validation(rows.val, accelerator)
    state_dir = run_dir / ".state"
    with only_run(state_dir):
        trainer = Trainer(method, one_group(method), data, validate, own, accelerator, seed, state_dir, stamp)
        write_run(run_dir, trainer.fit(), own, seed, classes=rows.classes, **more)
        drop_state(state_dir)


def validation(
    join: FeatureJoin, accelerator: Accelerator
) -> Callable[[Probe], tuple[float, dict[str, float]]]:
    """What the loop calls between epochs: top-1 accuracy in percent, and columns of `history.csv`."""
    label_B = torch.from_numpy(join.label_ids.astype(np.int64))

    def validate(method: Probe) -> tuple[float, dict[str, float]]:
        method.eval()
        with accelerator.autocast():
            logit_BK = logits(method.model, join, accelerator.device)
        accuracy = top_k(logit_BK, label_B)
        return accuracy, {
            "val_loss": cross_entropy(logit_BK, label_B)["ce_loss"].item(),
            "val_top1": accuracy,
        }

    return validate
