"""Training a converter: what is written, and that a stopped run ends in the same bytes."""

from __future__ import annotations

import json
import signal
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import r2_score

from tests.engine.stops import check_goes_on, check_goes_on_after
from tests.methods.converters.cached import METAS, SHAPES, make_pair, options, rows_by_id
from tests.methods.converters.trained import ABOUT, SMALL, changed, trained
from tests.road import files
from vidkd.config.base import canonical
from vidkd.errors import UserError
from vidkd.features.meta import FeatureMeta
from vidkd.methods.converters.load import load_converter
from vidkd.methods.converters.model import KINDS
from vidkd.methods.converters.settings import LOSSES


def run(shards, folder, settings=SMALL, **more):
    return files(trained(shards, folder, settings, **more).parent)


def config_of(folder) -> dict:
    return json.loads((folder / "config.json").read_text())


def val_r2(shards, weights) -> float:
    """R² of the teacher's validation features, by scikit-learn."""
    student, teacher = (rows_by_id(shards[name]["val"]) for name in SHAPES)
    converter = load_converter(weights)
    converted = converter(torch.from_numpy(np.stack([student[name] for name in sorted(student)])))
    real = np.stack([teacher[name] for name in sorted(student)])
    flat = real.reshape(len(real), -1), converted.numpy().reshape(len(real), -1)
    return r2_score(*flat, multioutput="variance_weighted")


def test_two_runs_give_the_same_bytes_whatever_the_order_and_number_of_shards(pair, tmp_path):
    first = run(pair, tmp_path / "a")
    assert set(first) == {"model.safetensors", "config.json", "history.csv"}
    for splits in pair.values():
        for shards in splits.values():
            shards.reverse()
    assert run(pair, tmp_path / "b") == first
    assert run(make_pair(tmp_path / "cut", n_shards=3), tmp_path / "c") == first
    assert run(pair, tmp_path / "d", seed=1)["model.safetensors"] != first["model.safetensors"]
    assert not (tmp_path / "a/.state").exists()


def test_the_files_say_what_they_are_of(pair, weights):
    config, state = config_of(weights.parent), load_file(weights)
    assert config["settings"] == SMALL.model_dump(mode="json")
    assert {name: config[name] for name in ABOUT} == ABOUT
    for side, name in (("student", "vjepa2"), ("teacher", "videomae")):
        assert FeatureMeta.read(config[f"{side}_meta"]).differences(METAS[name]) == []
        assert tuple(config[f"{side}_shape"]) == SHAPES[name]
        token = np.concatenate(list(rows_by_id(pair[name]["train"]).values())).astype(np.float64)
        np.testing.assert_allclose(state[f"{side}.mean"].numpy(), token.mean(0), rtol=1e-5)
        np.testing.assert_allclose(state[f"{side}.std"].numpy(), token.std(0), rtol=1e-5)
    assert config["params"] == sum(v.numel() for name, v in state.items() if name.startswith("core."))
    assert (config["seed"], config["left_out"]) == (0, {})


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_epoch_of_validation_is_kept_and_explains_the_teacher(pair, tmp_path, kind):
    settings = changed(kind=kind, epochs=25, lr=0.01, dropout=0.0, batch_size=16)
    weights = trained(pair, tmp_path / "a", settings)
    history = pd.read_csv(tmp_path / "a/history.csv")
    best = history.loc[history["val_loss"].idxmin()]
    assert config_of(tmp_path / "a")["best_epoch"] == best["epoch"]
    assert best["val_loss"] == pytest.approx(best["val_l2_loss"] + best["val_cosine_loss"])
    assert best["val_r2"] == pytest.approx(val_r2(pair, weights), abs=1e-4)
    assert best["val_r2"] > 0.6
    assert best["val_loss"] < history["val_loss"][0]


def test_of_no_epochs_it_is_the_random_converter(pair, tmp_path):
    weights = trained(pair, tmp_path / "a", changed(epochs=0))
    config, history = config_of(tmp_path / "a"), pd.read_csv(tmp_path / "a/history.csv")
    assert (config["best_epoch"], len(history)) == (0, 1)
    assert history["val_r2"][0] == pytest.approx(val_r2(pair, weights), abs=1e-4)
    assert history["val_r2"][0] < 0.2
    other = trained(pair, tmp_path / "b", changed(epochs=0), seed=1)
    assert not np.array_equal(*(load_file(w)["core.leave.weight"].numpy() for w in (weights, other)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_trained(pair, tmp_path, kind):
    before, after = (
        load_file(trained(pair, tmp_path / str(epochs), changed(kind=kind, epochs=epochs)))
        for epochs in (0, 1)
    )
    same = [name for name in before if torch.equal(before[name], after[name])]
    assert sorted(same) == ["student.mean", "student.std", "teacher.mean", "teacher.std"]


def test_all_terms_together(pair, tmp_path):
    trained(pair, tmp_path / "a", changed(loss=dict.fromkeys(LOSSES, 0.5), epochs=1))
    (row,) = pd.read_csv(tmp_path / "a/history.csv").to_dict("records")
    assert {f"{name}_loss" for name in LOSSES} <= row.keys()
    assert row["val_loss"] == pytest.approx(sum(row[f"val_{name}_loss"] for name in LOSSES))


def test_validation_has_no_small_last_batch(pair, tmp_path):
    """24 validation videos, in batches of 23: the last would have one, which infonce cannot compare."""
    trained(pair, tmp_path / "a", changed(loss={"infonce": 1.0}, batch_size=23, epochs=1))
    assert np.isfinite(pd.read_csv(tmp_path / "a/history.csv")["val_loss"]).all()


@pytest.mark.parametrize("stop_at", [2, 5])
def test_a_stopped_run_goes_on_bit_for_bit(pair, tmp_path, monkeypatch, stop_at):
    # Epochs have 3 batches: 2 stops inside the first, 5 inside the second.
    check_goes_on(monkeypatch, lambda folder: trained(pair, folder).parent, tmp_path, stop_at, 9)


def test_fewer_videos_than_a_batch(pair, tmp_path):
    text = "batch_size 97 is larger than the 96 cached videos: lower batch_size"
    with pytest.raises(UserError, match=text):
        run(pair, tmp_path / "a", changed(batch_size=97))


def test_batches_of_one_and_a_term_between_clips(pair, tmp_path):
    with pytest.raises(
        UserError, match=r"^barlow compares the videos of a batch .*: raise batch_size above 1"
    ):
        run(pair, tmp_path / "a", changed(batch_size=1, loss={"l2": 1.0, "barlow": 1.0}))


def test_a_diverging_loss_stops_the_run(pair, tmp_path):
    settings = changed(optimizer="sgd", lr=1e30, warmup_epochs=0, clip_grad=None)
    with pytest.raises(UserError, match="lower lr"):
        run(pair, tmp_path / "a", settings)


def test_weights_that_the_last_step_ruined_are_not_written(pair, tmp_path):
    """The one training loss was finite, and no validation comes after."""
    settings = changed(
        epochs=1, batch_size=96, optimizer="sgd", lr=1e30, warmup_epochs=0, clip_grad=None, loss={"l2": 1.0}
    )
    with pytest.raises(UserError, match=r"the validation loss became (nan|inf): lower lr"):
        run(pair, tmp_path / "a", settings)
    assert not (tmp_path / "a/model.safetensors").exists()


def test_a_flipped_byte_is_refused_before_the_first_step(pair, tmp_path):
    shard = pair["videomae"]["val"][0]
    row = rows_by_id([shard])
    name = sorted(row)[1]
    content = bytearray(shard.read_bytes())
    content[content.find(row[name].tobytes()) + 3] ^= 1
    shard.write_bytes(content)
    with pytest.raises(UserError, match=f"features are damaged: .*{name}.* Delete just these files"):
        run(pair, tmp_path / "a")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_process_and_the_same_command_end_in_the_same_bytes(pair, tmp_path, number):
    settings = canonical(changed(epochs=60, width=32))

    def command(folder):
        return [
            sys.executable, "-m", "workflow_scripts.train", "converters", *options(pair),
            "--run=small.videomae", f"--run-dir={folder}", "--settings", settings,
        ]  # fmt: skip

    check_goes_on_after(number, command, tmp_path)
    assert len(list(tmp_path.glob("straight/*.provenance.json"))) == 3
