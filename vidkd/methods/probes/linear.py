"""Linear probe: multinomial logistic regression, by scikit-learn, on the mean token of each video."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn import functional as F

from vidkd.config.teacher import LinearSettings
from vidkd.engine.accuracy import top_k
from vidkd.engine.cpu import use_cpu
from vidkd.engine.efficiency import count_parameters
from vidkd.methods.probes.model import LinearProbe, Standardise
from vidkd.methods.probes.rows import ProbeRows, token_means
from vidkd.methods.train import Fitted, Job

log = logging.getLogger(__name__)

_TOLERANCE = 1e-5
"""Largest slope of the penalised mean loss at which L-BFGS stops."""


class Chosen(NamedTuple):
    """The regression that validation prefers.

    Attributes:
        probe: the head.
        l2: its penalty.
        history: `l2, iterations, val_loss, val_top1` of each penalty, in the order of the fits.
    """

    probe: LinearProbe
    l2: float
    history: list[dict[str, float]]


def fit(job: Job, rows: ProbeRows) -> Fitted:
    """Fit at every strength of the penalty, and take the one that validation prefers.

    Nothing here is random, and a fit takes seconds and keeps no state: seed and stamp are not used.

    Returns:
        As history a row for each strength, in the order of the fits.

    Raises:
        UserError: a feature is NaN or infinite.
    """
    own: LinearSettings = job.settings.linear
    use_cpu(own.cpu_threads)
    train_ND, val_ND = token_means(rows.train), token_means(rows.val)
    probe, l2, history = chosen(train_ND, rows.train.label_ids, val_ND, rows.val.label_ids, own)
    config = {
        "settings": own.model_dump(mode="json"),
        "classes": rows.classes,
        "seed": job.seed,
        "best_l2": l2,
        "params": count_parameters(probe),
    }
    return Fitted(history, {**config, **job.about}, probe.state_dict())


def chosen(
    train_ND: Tensor,
    train_label_N: NDArray[np.int32],
    val_ND: Tensor,
    val_label_N: NDArray[np.int32],
    settings: LinearSettings,
) -> Chosen:
    """Fit at every strength, and take the regression of the best validation top-1.

    Of strengths with the same accuracy the one with the smaller loss is taken.

    Args:
        train_ND: (N, D) mean tokens, float64.
        train_label_N: (N) every class at least once.
        val_ND: those of validation.
        val_label_N: their labels.
        settings: of the head.
    """
    label_N = torch.from_numpy(val_label_N.astype(np.int64))
    history: list[dict[str, float]] = []
    best: tuple[tuple[float, float], LinearProbe, float] | None = None
    with threadpool_limits(settings.cpu_threads):
        for l2, probe, iterations in regressions(train_ND, train_label_N, settings):
            with torch.no_grad():
                logit_NK = probe(val_ND[:, None])
            loss, accuracy = F.cross_entropy(logit_NK, label_N).item(), top_k(logit_NK, label_N)
            log.info("l2 %g: validation top-1 %.2f, loss %.4f", l2, accuracy, loss)
            history.append({"l2": l2, "iterations": iterations, "val_loss": loss, "val_top1": accuracy})
            if best is None or (accuracy, -loss) > best[0]:
                best = (accuracy, -loss), probe, l2
    assert best is not None
    return Chosen(best[1], best[2], history)


def regressions(
    train_ND: Tensor, label_N: NDArray[np.int32], settings: LinearSettings
) -> Iterator[tuple[float, LinearProbe, int]]:
    """Fit the regression at each strength, the strongest first: each starts from the one before.

    Args:
        train_ND: (N, D) mean tokens, float64.
        label_N: (N) every class at least once.
        settings: of the head.

    Yields:
        The strength, the head, and the iterations that it took.
    """
    standardise = Standardise(train_ND.shape[1])
    standardise.set(train_ND.mean(0), train_ND.std(0, correction=0))
    scaled_ND = ((train_ND - standardise.mean) / standardise.std).numpy()
    regression = LogisticRegression(max_iter=settings.max_iter, tol=_TOLERANCE, warm_start=True)
    for l2 in reversed(settings.l2):
        # scikit-learn weighs the sum of the losses: C = 1 / (l2 N) is the same for any number of videos.
        regression.set_params(C=1 / (l2 * len(scaled_ND)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            regression.fit(scaled_ND, label_N)
        iterations = int(regression.n_iter_.max())
        if iterations >= settings.max_iter:
            log.warning("l2 %g: not at its optimum after %d iterations: raise max_iter", l2, iterations)
        yield l2, _head(standardise, regression.coef_, regression.intercept_), iterations


def _head(standardise: Standardise, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> LinearProbe:
    """The head with these weights (K, D) and biases (K)."""
    if len(weight) == 1:  # of two classes scikit-learn gives the second's logit alone
        weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
    probe = LinearProbe(weight.shape[1], len(weight))
    probe.standardise = standardise
    with torch.no_grad():
        probe.classifier.weight.copy_(torch.from_numpy(weight))
        probe.classifier.bias.copy_(torch.from_numpy(bias))
    return probe
