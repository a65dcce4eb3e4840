"""What networks and ensembles cost, by the command."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from tests.methods.ffn.test_train import run as train
from vidkd.engine.efficiency import count_parameters, gflops
from vidkd.methods.ffn.settings import FFNSettings
from vidkd.methods.ffn.start import load_network
from workflow_scripts import measure


@pytest.fixture(scope="module")
def trained(stores, tmp_path_factory) -> dict[str, Path]:
    """Weights of an FFN and of a plain TSM of the same size."""
    small = FFNSettings(arch="resnet_tiny", epochs=1, batch_size=8, size=32, frame_counts=(2, 4), dropout=0)
    plain = small.model_copy(update={"frame_counts": (4,), "weight_alteration": False})
    found = {}
    for name, settings in {"ffn": small, "tsm": plain}.items():
        folder = tmp_path_factory.mktemp(name)
        train(stores, settings, folder, max_batches=1)
        found[name] = folder / "model.safetensors"
    return found


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
