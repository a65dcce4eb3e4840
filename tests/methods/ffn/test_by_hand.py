"""Training and evaluating by hand, with the options of seed 004."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from workflow_scripts.train import main

SMALL = ["--arch", "resnet_tiny", "--size", "32", "--batch-size", "8"]
SEED = [
    "--epochs", "50", "--lr", "0.01", "--lambda-kl", "1.0", "--num-frames-h", "12", "--num-frames-m", "6",
    "--num-frames-l", "3",
]  # fmt: skip


@pytest.fixture
def run(stores, tmp_path):
    """Run the command on the small stores; its run folder is `tmp_path`."""
    data = [f"--frame-stores=train={path}" for path in stores.train]
    data += [f"--frame-stores=val={stores.val[0]}"]
    place = ["--class-names", str(stores.classes), "--run-dir", str(tmp_path)]
    return lambda *arguments: CliRunner().invoke(main, ["ffn", *data, *place, *SMALL, *arguments])


@pytest.fixture
def trained(run, tmp_path):
    """Weights of a test run with three frame counts of their own."""
    result = run(*SEED, "--test-run")
    assert result.exit_code == 0, result.output
    return tmp_path / "model.safetensors"


def test_a_test_run_is_one_epoch_with_the_seeds_counts(trained):
    history = pd.read_csv(trained.with_name("history.csv"))
    assert len(history) == 1
    assert {"ce_12f_loss", "kl_6f_loss", "kl_3f_loss", "val_acc_3f"} <= set(history.columns)
    config = json.loads(trained.with_name("config.json").read_text())
    assert config["settings"]["frame_counts"] == [3, 6, 12]


def test_eval_only_hears_the_counts_and_trains_nothing(run, trained):
    before = trained.read_bytes()
    result = run("--eval-only", "--resume", str(trained), "--num-frames-l", "2", "--num-frames-h", "16")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert list(found) == ["acc_2f", "acc_8f", "acc_16f", "tfd_gap"]
    assert found["tfd_gap"] == found["acc_16f"] - found["acc_2f"]
    assert trained.read_bytes() == before


def test_eval_only_needs_weights(run):
    result = run("--eval-only")
    assert result.exit_code == 2
    assert "--eval-only needs --resume CKPT" in result.output


def test_resume_starts_from_the_weights(run, trained):
    result = run(*SEED, "--test-run", "--resume", str(trained))
    assert result.exit_code == 0, result.output
    sidecar = json.loads(trained.with_name("model.safetensors.provenance.json").read_text())
    assert str(trained) in sidecar["inputs"]
