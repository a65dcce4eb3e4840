"""Training on real frame stores: what is written, and that a stopped run ends in the same bytes."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import CLASSES
from tests.engine.stops import check_goes_on, check_goes_on_after
from tests.road import files, texts, train_run
from vidkd.config.base import canonical
from vidkd.data.clips import TrainingClips, collate
from vidkd.data.frames import FrameStore
from vidkd.engine.checkpoint import only_run
from vidkd.engine.optim import build_optimizer, official_groups, one_group
from vidkd.errors import UserError
from vidkd.methods.ffn.by_hand import accuracies
from vidkd.methods.ffn.start import load_network
from vidkd.methods.ffn.train import FFN
from vidkd.methods.needs import Needs


def run(stores, settings, folder: Path, **more) -> Path:
    return train_run("ffn", settings, needs_of(stores, more.pop("init", None)), folder, **more)


def needs_of(stores, init: Path | None = None) -> Needs:
    frames = {"train": texts(stores.train), "val": texts(stores.val)}
    results = {"init": (str(init),)} if init else {}
    return Needs(frames=frames, classes=str(stores.classes), results=results)


def command_of(stores, settings, folder: Path) -> list[str]:
    """The command line of a training."""
    return [
        sys.executable, "-m", "workflow_scripts.train", "ffn", "--run=test", f"--run-dir={folder}",
        "--needs", needs_of(stores).text(), "--settings", canonical(settings),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def straight(stores, small, tmp_path_factory) -> Path:
    """A run that nothing disturbed."""
    return run(stores, small, tmp_path_factory.mktemp("straight") / "run")


@pytest.fixture
def batch(stores, small):
    clips = TrainingClips(FrameStore(stores.train), CLASSES, small.frame_counts, small, seed=0)
    return collate([clips[(0, row)] for row in range(8)])


def test_a_run_writes_its_files_and_two_runs_the_same_bytes(stores, small, straight, tmp_path):
    first = files(straight)
    assert set(first) == {"model.safetensors", "config.json", "history.csv"}
    assert first == files(run(stores, small, tmp_path / "b"))
    assert not (straight / ".state").exists()
    history = pd.read_csv(straight / "history.csv")
    assert list(history["epoch"]) == [1, 2]
    assert {"ce_16f_loss", "kl_4f_loss", "kl_8f_loss", "val_acc_4f", "val_acc_8f", "val_acc_16f"} <= set(
        history
    )
    assert (
        files(run(stores, small, tmp_path / "c", seed=1))["model.safetensors"] != first["model.safetensors"]
    )


def test_workers_do_not_change_a_result(stores, small, straight, tmp_path):
    assert files(straight) == files(run(stores, small, tmp_path / "b", workers=2))


@pytest.mark.parametrize("stop_at", [1, 2, 4])
def test_a_stopped_run_goes_on_bit_for_bit(stores, small, tmp_path, monkeypatch, stop_at):
    # Epochs have 3 batches: 1 and 2 stop inside the first, 4 inside the second.
    check_goes_on(monkeypatch, lambda folder: run(stores, small, folder), tmp_path, stop_at, 6)


def test_state_of_other_settings_or_cut_short_is_not_used(stores, small, straight, tmp_path):
    state = tmp_path / "other/.state/state.pt"
    state.parent.mkdir(parents=True)
    torch.save({"stamp": "b", "weights": {}}, state)
    assert files(run(stores, small, tmp_path / "other")) == files(straight)
    cut = tmp_path / "cut/.state/state.pt"
    cut.parent.mkdir(parents=True)
    cut.write_bytes(b"PK\x03\x04 cut")
    assert files(run(stores, small, tmp_path / "cut")) == files(straight)


@pytest.mark.slow
def test_sigterm_to_a_real_process_saves_and_the_same_command_ends_in_the_same_bytes(stores, small, tmp_path):
    # Long enough to be hit in the middle, on any machine: the signal is sent when the first state is there.
    settings = small.model_copy(update={"epochs": 4})
    found = check_goes_on_after(signal.SIGTERM, partial(command_of, stores, settings), tmp_path)
    assert found == files(run(stores, settings, tmp_path / "here"))


def test_every_loss_term_reaches_the_network_and_every_parameter_the_optimizer(small, batch):
    torch.manual_seed(0)
    method = FFN(small, len(CLASSES)).train()
    # At the start all counts say nearly the same; a step apart their divergence is measurable.
    torch.nn.init.normal_(method.model.fc.weight, std=0.5)
    generator = torch.Generator().manual_seed(0)
    names = list(method(batch, generator))
    assert names == ["ce_16f_loss", "kl_4f_loss", "kl_8f_loss"]
    for name in names:
        method.zero_grad()
        method(batch, generator)[name].backward()
        norm = sum(p.grad.square().sum() for p in method.parameters() if p.grad is not None).sqrt()
        assert norm > 1e-6, f"{name} does not reach the network"
    method.zero_grad()
    sum(method(batch, generator).values()).backward()
    for name, parameter in method.named_parameters():
        assert parameter.grad is not None, f"no gradient for {name}"
    for groups in (official_groups(method, small), one_group(method)):
        optimizer = build_optimizer(groups, small)
        held = [id(p) for group in optimizer.param_groups for p in group["params"]]
        assert sorted(held) == sorted(id(p) for p in method.parameters())


def test_official_groups(small):
    method = FFN(small.model_copy(update={"optimizer": "sgd"}), 5)
    groups = official_groups(method, small)
    by_name = {
        name: (group["lr"] / small.lr, group["weight_decay"])
        for group in groups
        for name, p in method.named_parameters()
        if any(p is q for q in group["params"])
    }
    assert by_name["model.fc.weight"] == (pytest.approx(5), small.weight_decay)
    assert by_name["model.fc.bias"] == (pytest.approx(10), 0)
    assert by_name["model.layer1.0.bn1.4.weight"] == (1, 0)
    assert by_name["model.bn1.16.bias"] == (1, 0)
    assert by_name["model.layer1.0.conv1.weight"] == (1, small.weight_decay)


def test_finetuning_starts_every_norm_from_the_source(stores, small, tmp_path):
    source = run(
        stores, small.model_copy(update={"frame_counts": (16,), "weight_alteration": False}), tmp_path / "s"
    )
    trained = load_file(source / "model.safetensors")
    tuned = run(
        stores, small.model_copy(update={"lr": 1e-12, "epochs": 1, "init_from": "s"}), tmp_path / "t",
        init=source / "model.safetensors",
    )  # fmt: skip
    weights = load_file(tuned / "model.safetensors")
    for count in (4, 8, 16):
        torch.testing.assert_close(weights[f"layer1.0.bn1.{count}.weight"], trained["layer1.0.bn1.16.weight"])


def test_weights_of_another_architecture_are_refused(stores, small, straight, tmp_path):
    other = small.model_copy(update={"arch": "resnet18"})
    with pytest.raises(UserError, match=r"fits only .*another architecture"):
        run(stores, other, tmp_path / "t", init=straight / "model.safetensors")
    assert not list((tmp_path / "t").glob("*"))


def test_a_trained_network_reloads_and_evaluates_as_in_training(stores, small, straight):
    history = pd.read_csv(straight / "history.csv")
    best = json.loads((straight / "config.json").read_text())["best_epoch"]
    found = accuracies(straight / "model.safetensors", stores.val, small.frame_counts, workers=0)
    for count in small.frame_counts:
        assert found[f"acc_{count}f"] == pytest.approx(history.loc[best - 1, f"val_acc_{count}f"])
    network, _, classes = load_network(straight / "model.safetensors")
    assert classes == CLASSES
    assert not network.training


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"frame_counts": (4, 20)}, "20 frames are asked"),
        ({"batch_size": 25}, "batch_size 25 is larger than the 24"),
        ({"flip": "swap", "flip_labels": {"left": "right"}}, "^flip_labels: no class is named 'left'"),
        ({"weights": "nothing.pth"}, "does not exist"),
    ],
)
def test_what_the_data_cannot_give_is_said(stores, small, tmp_path, change, said):
    with pytest.raises(UserError, match=said):
        run(stores, small.model_copy(update=change), tmp_path / "x")
    assert not (tmp_path / "x/model.safetensors").exists()


def test_one_class_is_nothing_to_learn(stores, small, tmp_path):
    (tmp_path / "classes.json").write_text('["walk"]')
    with pytest.raises(UserError, match=r"classes\.json has 1 class: a network has nothing to tell apart"):
        run(dataclasses.replace(stores, classes=tmp_path / "classes.json"), small, tmp_path / "x")


def test_a_diverging_loss_stops_the_run(stores, small, tmp_path):
    with pytest.raises(UserError, match="lower lr"):
        run(stores, small.model_copy(update={"optimizer": "sgd", "lr": 1e18}), tmp_path / "x")


def test_two_runs_into_one_folder_are_one_too_many(stores, small, tmp_path):
    with only_run(tmp_path / "x/.state"), pytest.raises(UserError, match="another process is training"):
        run(stores, small, tmp_path / "x")
    assert [path.name for path in (tmp_path / "x").iterdir()] == [".state"]


@pytest.mark.slow
def test_a_signal_to_the_whole_group_saves_with_loader_workers(stores, small, tmp_path):
    """As a scheduler sends it: the loader's processes get it too."""
    settings = small.model_copy(update={"epochs": 200})
    command = [*command_of(stores, settings, tmp_path / "run"), "--workers=2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (tmp_path / "run/.state/state.pt").exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert "state saved" in said
    assert process.returncode == 128 + signal.SIGTERM


def test_own_weights_load_whole_or_not_at_all(stores, small, tmp_path):
    """A plain TSM's file has no norms of 4 and 8 frames: predicting with them would show random ones."""
    alone = small.model_copy(update={"frame_counts": (16,), "weight_alteration": False, "epochs": 1})
    folder = run(stores, alone, tmp_path / "a")
    config = json.loads((folder / "config.json").read_text())
    config["settings"] = small.model_dump(mode="json")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"fits only .*bn1\.4"):
        load_network(folder / "model.safetensors")
