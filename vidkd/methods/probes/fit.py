"""Fit one head on the features of one network, for one label; the test split is not read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vidkd import lazy
from vidkd.methods.probes.rows import ProbeRows, open_rows
from vidkd.methods.probes.settings import HEADS, ProbeRun
from vidkd.methods.train import Fitted, Job


def fit_probe(job: Job) -> Fitted:
    """Fit the head of the settings, and say in its `config.json` what it was fitted on.

    Raises:
        UserError: the features or labels cannot be used, or the loss diverged.
    """
    settings: ProbeRun = job.settings
    rows = open_rows(job.inputs)
    (features,) = rows.train.stores.values()
    about = {
        "head": settings.head,
        "backbone": rows.backbone,
        "label": job.inputs.needs.label or str(job.about["run"]).rpartition(".")[2],
        "features": features.meta.attributes(),
    }
    fit: Callable[[Job, ProbeRows], Fitted] = lazy.load(HEADS[settings.head])
    fitted = fit(job, rows)
    return replace(fitted, config={**fitted.config, **about})
