"""Train an attentive probe with one seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from accelerate import Accelerator

from vidkd.engine.accuracy import top_k
from vidkd.engine.efficiency import count_parameters
from vidkd.engine.optim import one_group
from vidkd.engine.runtime import start
from vidkd.features.batches import FeatureBatches, FeatureJoin
from vidkd.features.tokens import token_statistics
from vidkd.methods.probes.loss import cross_entropy
from vidkd.methods.probes.method import Probe
from vidkd.methods.probes.model import AttentiveProbe
from vidkd.methods.probes.predict import logits
from vidkd.methods.probes.rows import ProbeRows
from vidkd.methods.probes.settings import AttentiveSettings
from vidkd.methods.train import Fitted, Job


def fit(job: Job, rows: ProbeRows) -> Fitted:
    """Train, and take the epoch that validation prefers.

    Raises:
        UserError: there are fewer training videos than one batch, a feature is NaN or infinite, or the loss
            diverged.
    """
    own: AttentiveSettings = job.settings.attentive
    accelerator = start(own, job.seed)
    data = FeatureBatches(rows.train, own.batch_size, job.seed, device=accelerator.device)
    model = AttentiveProbe(rows.width, len(rows.classes), own)
    (statistics,) = token_statistics(rows.train).values()
    model.standardise.set(*statistics)
    method, validate = Probe(model), validation(rows.val, accelerator)
    knob = f"batch_size {own.batch_size}: lower it"
    result = job.loop(method, one_group(method), data, validate, own, accelerator, knob=knob)
    return job.fitted(result, own, classes=rows.classes, params=count_parameters(model))


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
