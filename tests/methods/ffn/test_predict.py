"""Predictions of trained networks at every frame count."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tests.methods.ffn.test_train import run as train
from tests.road import predict_run, texts
from vidkd.engine.efficiency import count_parameters
from vidkd.errors import UserError
from vidkd.methods.base import Needs
from vidkd.methods.ffn.by_hand import accuracies
from vidkd.methods.ffn.model import build_model
from vidkd.methods.ffn.settings import FFNSettings

SETTINGS = {"max_count": 5, "score_counts": (2, 4)}


def predict(weights, stores, folder, settings=SETTINGS):
    needs = Needs(frames={"test": texts(stores.val)}, weights={"run": texts(weights)})
    return predict_run("ffn", needs, folder, settings)


@pytest.fixture(scope="module")
def networks(stores, tmp_path_factory):
    """Weights of two networks with different starts: an FFN, which has parts for each frame count."""
    settings = FFNSettings(
        arch="resnet_tiny", epochs=1, batch_size=8, size=32, frame_counts=(2, 4), dropout=0
    )
    found = []
    for seed in (0, 1):
        folder = tmp_path_factory.mktemp(f"seed{seed}")
        train(stores, settings, folder, seed=seed, max_batches=1)
        found.append(folder / "model.safetensors")
    return found, settings


def test_a_row_for_each_clip_and_a_column_for_each_count(networks, stores, tmp_path):
    weights, settings = networks
    predict(weights[:1], stores, tmp_path)
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert len(table) == 12
    assert [name for name in table.columns if name.startswith("pred_")] == [f"pred_{n}f" for n in range(1, 6)]
    scores = table.filter(regex="^s4_").to_numpy()
    assert np.allclose(scores.sum(1), 1, atol=1e-4)
    assert (scores.argmax(1) == table["pred_4f"]).all()
    cost = json.loads((tmp_path / "efficiency.json").read_text())
    assert cost["params"] == count_parameters(build_model(settings, scores.shape[1]))
    assert cost["gflops"]["4"] == pytest.approx(2 * cost["gflops"]["2"])


def test_an_ensemble_averages_probabilities_and_adds_costs(networks, stores, tmp_path):
    weights, _ = networks
    tables, costs = [], []
    for members in (weights[:1], weights[1:], weights):
        predict(members, stores, tmp_path)
        tables.append(pd.read_csv(tmp_path / "predictions.csv").filter(regex=r"^s\d").to_numpy())
        costs.append(json.loads((tmp_path / "efficiency.json").read_text())["gflops"]["4"])
    assert np.allclose(tables[2], (tables[0] + tables[1]) / 2, atol=2e-6)
    assert not np.allclose(tables[0], tables[1], atol=2e-6)
    assert costs[2] == pytest.approx(costs[0] + costs[1])


def test_accuracies_are_those_of_the_predictions(networks, stores, tmp_path):
    weights, _ = networks
    predict(weights[:1], stores, tmp_path)
    table = pd.read_csv(tmp_path / "predictions.csv")
    found = accuracies(weights[0], stores.val, (2, 4), 0)
    for count in (2, 4):
        assert found[f"acc_{count}f"] == pytest.approx(
            100 * (table[f"pred_{count}f"] == table["label_id"]).mean()
        )


def test_scores_beyond_the_largest_count_are_refused(networks, stores, tmp_path):
    with pytest.raises(UserError, match=r"score_counts.*max_count"):
        predict(networks[0], stores, tmp_path, {"max_count": 2, "score_counts": (4,)})
    assert not (tmp_path / "predictions.csv").exists()


def test_weights_without_their_configuration_are_refused(networks, stores, tmp_path):
    alone = tmp_path / "model.safetensors"
    alone.write_bytes(networks[0][0].read_bytes())
    with pytest.raises(UserError, match=r"config\.json is missing"):
        accuracies(alone, stores.val, (2, 4), 0)
