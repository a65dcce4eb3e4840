"""Predictions of trained networks at every frame count, and what they cost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from tests.methods.ffn.test_train import run as train
from tests.road import predict_run, texts
from vidkd.engine.efficiency import count_parameters, gflops
from vidkd.errors import UserError
from vidkd.methods.ffn.by_hand import accuracies
from vidkd.methods.ffn.model import build_model
from vidkd.methods.ffn.settings import FFNSettings
from vidkd.methods.ffn.start import load_network
from vidkd.methods.needs import Needs
from workflow_scripts import measure

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


@pytest.fixture(scope="module")
def trained(stores, networks, tmp_path_factory) -> dict[str, Path]:
    """Weights of an FFN and of a plain TSM of the same size."""
    weights, settings = networks
    plain = settings.model_copy(update={"frame_counts": (4,), "weight_alteration": False})
    folder = train(stores, plain, tmp_path_factory.mktemp("tsm"), max_batches=1)
    return {"ffn": weights[0], "tsm": folder / "model.safetensors"}


def measured(folder: Path, *variants: str, frames: int = 4) -> pd.DataFrame:
    output = folder / "latency.csv"
    trained = [f"--trained={variant}" for variant in variants]
    options = ["--settings", json.dumps({"frames": frames}), "--rounds=3", f"--output={output}"]
    done = CliRunner().invoke(measure.main, ["ffn", *trained, *options])
    assert done.exit_code == 0, done.output
    return pd.read_csv(output, dtype={"variant": str}).set_index("variant")


def test_costs_are_of_every_network_and_add_up_in_an_ensemble(trained, tmp_path):
    ffn, tsm = (f"{name}={weights}" for name, weights in trained.items())
    both = [f"both={weights}" for weights in trained.values()]
    table = measured(tmp_path, ffn, tsm, *both)
    assert list(table.index) == ["ffn", "tsm", "both"]
    assert table["frames"].eq(4).all()
    for name, weights in trained.items():
        network, settings, _ = load_network(weights)
        assert table.loc[name, "params"] == count_parameters(network)
        assert table.loc[name, "gflops"] == pytest.approx(gflops(network, 4, settings.size))
        assert table.loc[name, "size_mb"] == weights.stat().st_size / 1e6
    for column in ("params", "gflops", "size_mb"):
        assert table.loc["both", column] == pytest.approx(table.loc[["ffn", "tsm"], column].sum())
    most, least = (of(table.loc[["ffn", "tsm"], "peak_mb"]) for of in (max, min))
    assert least <= table.loc["both", "peak_mb"] <= most * 1.01
    for threads in (1, 2):
        low, middle, high = (table[f"ms_{threads}{end}"] for end in ("_low", "", "_high"))
        assert ((low > 0) & (low <= middle) & (middle <= high)).all()


def test_a_clip_may_have_frames_that_no_network_was_trained_on(trained, tmp_path):
    """The nearest count serves it, and every frame costs the same."""
    ffn = f"ffn={trained['ffn']}"
    three, six = (measured(tmp_path, ffn, frames=frames).loc["ffn", "gflops"] for frames in (3, 6))
    assert six == pytest.approx(2 * three)


def test_what_was_measured_is_in_the_provenance(trained, tmp_path):
    measured(tmp_path, f"ffn={trained['ffn']}")
    about = json.loads((tmp_path / "latency.csv.provenance.json").read_text())
    assert about["settings"] == {"frames": 4, "rounds": 3}
    assert set(about["inputs"]) == {str(trained["ffn"]), str(trained["ffn"].with_name("config.json"))}


def test_weights_that_are_not_there_are_said_by_name(tmp_path):
    given = ["--trained=ffn=nowhere/model.safetensors", f"--output={tmp_path / 'latency.csv'}"]
    done = CliRunner().invoke(measure.main, ["ffn", *given, "--settings", '{"frames": 4}'])
    assert done.exit_code == 2
    assert "nowhere" in done.output
    assert list(tmp_path.iterdir()) == []
