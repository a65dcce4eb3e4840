"""The linear probe is at the optimum of the objective that its settings describe, and validation chooses."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from tests.methods.probes.cached import CLASSES, feature_of, fit, job, make_cache, write
from tests.road import files
from vidkd.config.teacher import LinearSettings
from vidkd.methods.probes import linear
from vidkd.methods.probes.linear import regressions
from vidkd.methods.probes.predict import load_probe
from vidkd.methods.probes.rows import token_means
from vidkd.methods.probes.settings import ProbeRun

STRENGTHS = (1e-4, 1e-2, 1.0)


def objective(flat, scaled, labels, l2):
    """Half of l2 times the squared weights, plus the mean cross entropy; and its gradient."""
    classes, width = labels.max() + 1, scaled.shape[1]
    weight, bias = flat[: classes * width].reshape(classes, width), flat[classes * width :]
    logits = scaled @ weight.T + bias
    top = logits.max(1, keepdims=True)
    log_sum = top[:, 0] + np.log(np.exp(logits - top).sum(1))
    right = np.arange(len(labels)), labels
    slope = np.exp(logits - log_sum[:, None])
    slope[right] -= 1
    slope /= len(labels)
    value = (log_sum - logits[right]).mean() + l2 / 2 * (weight**2).sum()
    return value, np.concatenate([(slope.T @ scaled + l2 * weight).ravel(), slope.sum(0)])


@pytest.mark.parametrize("l2", STRENGTHS)
def test_weights_are_at_the_optimum(cache, l2):
    rows = cache.open()
    means = token_means(rows.train)
    ((_, probe, iterations),) = regressions(means, rows.train.label_ids, LinearSettings(l2=(l2,)))
    scaled = means.numpy()
    scaled = (scaled - scaled.mean(0)) / scaled.std(0)
    weight, bias = (value.detach().double().numpy() for value in probe.classifier.parameters())
    flat = np.concatenate([weight.ravel(), bias])
    value, slope = objective(flat, scaled, rows.train.label_ids, l2)
    assert np.abs(slope).max() < 1e-4
    exact = minimize(
        objective, 0 * flat, (scaled, rows.train.label_ids, l2), "BFGS", jac=True, options={"gtol": 1e-8}
    )
    assert value == pytest.approx(exact.fun, rel=1e-4)
    assert np.abs(flat[:-3] - exact.x[:-3]).max() < 0.02 * np.abs(exact.x).max()
    assert iterations < 2000


def test_two_classes_are_the_same_regression(tmp_path):
    rows = make_cache(tmp_path, CLASSES[:2]).open()
    means = token_means(rows.train)
    ((_, probe, _),) = regressions(means, rows.train.label_ids, LinearSettings(l2=(0.01,)))
    weight = probe.classifier.weight.detach().double().numpy()
    scaled = means.numpy()
    scaled = (scaled - scaled.mean(0)) / scaled.std(0)
    # Of two classes the second's logit alone is penalised.
    sign = 2 * rows.train.label_ids - 1

    def loss(flat):
        return (
            np.logaddexp(0, -sign * (scaled @ flat[:-1] + flat[-1])).mean() + 0.005 * (flat[:-1] ** 2).sum()
        )

    exact = minimize(loss, np.zeros(7), method="BFGS", options={"gtol": 1e-7}).x
    np.testing.assert_allclose(weight[1] - weight[0], exact[:-1], atol=1e-3)


def test_validation_chooses(cache, tmp_path):
    config = json.loads((fit(cache, tmp_path / "a", ProbeRun()) / "config.json").read_text())
    history = pd.read_csv(tmp_path / "a/history.csv")
    assert history["l2"].tolist() == [1.0, 0.1, 0.01, 0.001, 0.0001]
    best = history.sort_values(["val_top1", "val_loss"], ascending=[False, True], kind="stable").iloc[0]
    assert config["best_l2"] == best["l2"]


@pytest.mark.parametrize("wanted", STRENGTHS)
def test_the_strength_that_alone_gets_validation_right_is_chosen(cache, tmp_path, wanted):
    rows, own = cache.open(), LinearSettings(l2=STRENGTHS)
    means = token_means(rows.val)[:, None]
    says = {
        l2: probe(means).argmax(1).numpy()
        for l2, probe, _ in regressions(token_means(rows.train), rows.train.label_ids, own)
    }
    rows.val.label_ids = says[wanted].astype(np.int32)
    assert [l2 for l2 in STRENGTHS if (says[l2] == rows.val.label_ids).all()] == [wanted]
    fitted = linear.fit(job(cache, tmp_path, ProbeRun(linear=own)), rows)
    assert fitted.config["best_l2"] == wanted


def test_the_files_are_those_of_the_weights(cache, tmp_path):
    rows = cache.open()
    folder = fit(cache, tmp_path / "a", ProbeRun())
    assert set(files(folder)) == {"model.safetensors", "config.json", "history.csv"}
    config = json.loads((folder / "config.json").read_text())
    assert config["settings"] == LinearSettings().model_dump(mode="json")
    assert (config["classes"], config["params"], config["label"]) == (CLASSES, 7 * 3, "animal")
    probe = load_probe(folder / "model.safetensors")
    fitted = {
        l2: p for l2, p, _ in regressions(token_means(rows.train), rows.train.label_ids, LinearSettings())
    }
    assert probe.classifier.weight.tolist() == fitted[config["best_l2"]].classifier.weight.tolist()


def test_two_runs_give_the_same_bytes_whatever_seed_order_of_shards_and_test_split(cache, tmp_path):
    first = files(fit(cache, tmp_path / "a", ProbeRun()))
    cache.turn_round()
    for shard in cache.shards["test"]:
        write(shard, {})
    write(cache.shards["test"][0], {"new_000": (1, feature_of("new_000", 2))})
    assert files(fit(cache, tmp_path / "b", ProbeRun())) == first
    again = files(fit(cache, tmp_path / "c", ProbeRun(), seed=1, stamp="b"))
    assert again["model.safetensors"] == first["model.safetensors"]


def test_it_learns_what_is_there(cache, tmp_path):
    fit(cache, tmp_path / "a", ProbeRun())
    assert pd.read_csv(tmp_path / "a/history.csv")["val_top1"].max() > 60


def test_a_fit_that_stops_early_says_so(cache, tmp_path, caplog):
    fit(cache, tmp_path / "a", ProbeRun(linear={"max_iter": 2}))
    assert "not at its optimum after 2 iterations: raise max_iter" in caplog.text
