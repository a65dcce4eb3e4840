"""Train an attentive probe with one seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

from vidkd.engine.accuracy import validation_row
from vidkd.engine.efficiency import count_parameters
from vidkd.engine.optim import one_group
from vidkd.engine.runtime import start
from vidkd.features.batches import FeatureBatch, FeatureBatches, FeatureJoin
from vidkd.features.tokens import token_statistics
from vidkd.methods.probes.model import AttentiveProbe
from vidkd.methods.probes.predict import logits
from vidkd.methods.probes.rows import ProbeRows
from vidkd.methods.probes.settings import AttentiveSettings
from vidkd.methods.train import Fitted, Job


class _Probe(nn.Module):
    """The head with its objective; the frozen network is not here, only what it made."""

    def __init__(self, model: AttentiveProbe) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: FeatureBatch, generator: torch.Generator) -> dict[str, Tensor]:
        (feature_BND,) = batch.features.values()
        return {"ce_loss": F.cross_entropy(self.model(feature_BND).float(), batch.label)}


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
    method, validate = _Probe(model), _validation(rows.val, accelerator)
    knob = f"batch_size {own.batch_size}: lower it"
    result = job.loop(method, one_group(method), data, validate, own, accelerator, knob=knob)
    return job.fitted(result, own, classes=rows.classes, params=count_parameters(model))


def _validation(
    join: FeatureJoin, accelerator: Accelerator
) -> Callable[[_Probe], tuple[float, dict[str, float]]]:
    """Make what the loop calls between epochs: top-1 accuracy in percent, and columns of `history.csv`."""
    label_B = torch.from_numpy(join.label_ids.astype(np.int64))

    def validate(method: _Probe) -> tuple[float, dict[str, float]]:
        method.eval()
        with accelerator.autocast():
            logit_BK = logits(method.model, join, accelerator.device)
        row = validation_row(logit_BK, label_B)
        return row["val_top1"], row

    return validate
