"""Training an attentive probe: what is written, and that a stopped run ends in the same bytes."""

from __future__ import annotations

import json
import signal
import sys

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.engine.stops import check_goes_on, check_goes_on_after
from tests.methods.probes.cached import CLASSES, WIDTH, fit
from tests.road import files
from vidkd.config.base import canonical
from vidkd.engine.accuracy import top_k
from vidkd.errors import UserError
from vidkd.features.tokens import token_statistics
from vidkd.methods.probes.predict import load_probe, logits
from vidkd.methods.probes.settings import ProbeRun

SMALL = ProbeRun(
    head="attentive",
    attentive={"epochs": 3, "batch_size": 16, "attention_heads": 2, "head_width": 4, "dropout": 0.1},
)


def changed(**settings):
    """SMALL with other settings of its head."""
    return ProbeRun(head="attentive", attentive=SMALL.attentive.model_dump() | settings)


def run(cache, folder, settings=SMALL, **more):
    return fit(cache, folder, settings, **more)


def test_two_runs_give_the_same_bytes_whatever_the_order_of_shards(cache, tmp_path):
    first = files(run(cache, tmp_path / "a"))
    assert set(first) == {"model.safetensors", "config.json", "history.csv"}
    cache.turn_round()
    assert files(run(cache, tmp_path / "b")) == first
    assert files(run(cache, tmp_path / "c", seed=1))["model.safetensors"] != first["model.safetensors"]
    assert not (tmp_path / "a/.state").exists()


def test_the_files_say_what_they_are_of(cache, tmp_path):
    run(cache, tmp_path / "a")
    config = json.loads((tmp_path / "a/config.json").read_text())
    weights = load_file(tmp_path / "a/model.safetensors")
    assert config["settings"] == SMALL.attentive.model_dump(mode="json")
    assert (config["classes"], config["seed"], config["backbone"]) == (CLASSES, 0, "clip")
    assert (config["method"], config["run"], config["head"], config["label"]) == (
        "probes", "run", "attentive", "animal"
    )  # fmt: skip
    assert config["params"] == sum(v.numel() for name, v in weights.items() if "standardise" not in name)
    ((mean, std),) = token_statistics(cache.open().train).values()
    torch.testing.assert_close(weights["standardise.mean"], mean.float())
    torch.testing.assert_close(weights["standardise.std"], std.float())


def test_the_best_epoch_of_validation_is_kept(cache, tmp_path):
    run(cache, tmp_path / "a", changed(epochs=8, lr=0.01))
    history = pd.read_csv(tmp_path / "a/history.csv")
    config = json.loads((tmp_path / "a/config.json").read_text())
    assert config["best_epoch"] == history["val_top1"].idxmax() + 1
    assert history["val_top1"].nunique() > 1
    val = cache.open().val
    scores = logits(load_probe(tmp_path / "a/model.safetensors"), val, torch.device("cpu"))
    assert top_k(scores, torch.from_numpy(val.label_ids)) == pytest.approx(history["val_top1"].max())
    assert history["val_top1"].max() > 50


@pytest.mark.parametrize("stop_at", [2, 5])
def test_a_stopped_run_goes_on_bit_for_bit(cache, tmp_path, monkeypatch, stop_at):
    # Epochs have 3 batches: 2 stops inside the first, 5 inside the second.
    check_goes_on(monkeypatch, lambda folder: run(cache, folder), tmp_path, stop_at, 9)


def test_fewer_videos_than_a_batch(cache, tmp_path):
    settings = ProbeRun(head="attentive", attentive={"batch_size": 61})
    with pytest.raises(
        UserError, match="batch_size 61 is larger than the 60 cached videos: lower batch_size"
    ):
        run(cache, tmp_path / "a", settings)


def test_a_diverging_loss_stops_the_run(cache, tmp_path):
    wild = {"optimizer": "sgd", "lr": 1e30, "batch_size": 16, "warmup_epochs": 0}
    settings = ProbeRun(head="attentive", attentive=wild)
    with pytest.raises(UserError, match="lower lr"):
        run(cache, tmp_path / "a", settings)


@pytest.mark.slow
def test_sigterm_to_a_real_process_saves_and_the_same_command_ends_in_the_same_bytes(cache, tmp_path):
    needs = cache.inputs().needs.text()

    def command(folder):
        return [
            sys.executable, "-m", "workflow_scripts.train", "probes", f"--needs={needs}", "--run=run",
            f"--run-dir={folder}", "--settings", canonical(changed(epochs=80)),
        ]  # fmt: skip

    check_goes_on_after(signal.SIGTERM, command, tmp_path)
    assert load_file(tmp_path / "killed/model.safetensors")["query"].shape == (WIDTH,)
