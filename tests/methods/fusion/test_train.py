"""Training a fusion head: what is written, what validation chooses, and a stopped run's bytes."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.engine.stops import check_goes_on
from tests.methods.converters.cached import rows_by_id
from tests.methods.fusion.cached import (
    CLASSES,
    CONVERTER,
    METAS,
    SHAPES,
    SMALL,
    STUDENT,
    TEACHERS,
    cache_of,
    changed,
    features_to_test,
    label_of,
    run,
    video_ids,
)
from tests.road import files
from vidkd.errors import UserError
from vidkd.methods.converters.load import load_converter
from vidkd.methods.fusion.predict import load_fusion, logits

REAL = changed(features="real")
TUNED = changed(finetune_converters=True)
FILES = {"model.safetensors", "config.json", "history.csv", "predictions.csv", "efficiency.json"}
CPU = torch.device("cpu")


def config_of(folder) -> dict:
    return json.loads((folder / "config.json").read_text())


def accuracy(folder, join) -> float:
    scores = logits(load_fusion(folder / "model.safetensors"), join, 7, CPU)
    return 100 * np.mean(scores.argmax(1).numpy() == [label_of(name) for name in join.video_ids])


def test_two_runs_give_the_same_bytes_whatever_the_order_and_number_of_shards(made, tmp_path):
    first = files(run(made.inputs(REAL), tmp_path / "a", REAL))
    assert set(first) == FILES
    shards = made.shards(REAL)
    turned = {name: {split: of[::-1] for split, of in splits.items()} for name, splits in shards.items()}
    assert files(run(made.inputs(REAL, turned), tmp_path / "b", REAL)) == first
    cut = {name: cache_of(tmp_path / "cut", name, n_shards=3) for name in SHAPES}
    assert files(run(made.inputs(REAL, cut), tmp_path / "c", REAL)) == first
    assert (
        files(run(made.inputs(REAL), tmp_path / "d", REAL, seed=1))["model.safetensors"]
        != first["model.safetensors"]
    )
    assert not (tmp_path / "a/.state").exists()


def test_the_order_in_which_caches_are_named_does_not_matter(made, tmp_path):
    first = files(run(made.inputs(), tmp_path / "a"))
    turned = dict(reversed(made.shards(SMALL).items()))
    assert files(run(made.inputs(SMALL, turned), tmp_path / "b")) == first


def test_the_files_say_what_they_are_of(made, tmp_path):
    run(made.inputs(), tmp_path / "a")
    config, weights = config_of(tmp_path / "a"), load_file(tmp_path / "a/model.safetensors")
    assert (config["run"], config["student"], config["seed"]) == ("small", STUDENT, 0)
    assert config["classes"] == CLASSES
    assert config["params"] == sum(v.numel() for name, v in weights.items() if "standardise" not in name)
    assert list(config["sources"]) == list(SHAPES)
    assert [of["kind"] for of in config["sources"].values()] == ["student", "converted", "converted"]
    for name, of in config["sources"].items():
        assert of["shape"] == list(SHAPES[name])
        assert of["meta"]["backbone"] == name
    assert config["sources"][STUDENT]["meta"]["digest"] == METAS[STUDENT].digest
    assert config["left_out"] == {}
    assert config["settings"]["lr"] == config["trials"][config["trial"]]["values"]["lr"]


def test_inputs_are_standardised_by_their_training_tokens(made, tmp_path):
    weights = load_file(run(made.inputs(REAL), tmp_path / "a", REAL) / "model.safetensors")
    for name in SHAPES:
        token_MD = np.concatenate(list(rows_by_id(made.real[name]["train"]).values())).astype(np.float64)
        found = {part: weights[f"inputs.{name}.standardise.{part}"].numpy() for part in ("mean", "std")}
        np.testing.assert_allclose(found["mean"], token_MD.mean(0), rtol=1e-5)
        np.testing.assert_allclose(found["std"], token_MD.std(0), rtol=1e-5)


def test_validation_chooses_the_epoch_and_the_trial(made, tmp_path):
    settings = changed(epochs=4, sweep={"lr": [1e-5, 0.02, 3e-3], "pooling": ["mean", "attention"]})
    inputs = made.inputs(settings)
    run(inputs, tmp_path / "a", settings)
    config, history = config_of(tmp_path / "a"), pd.read_csv(tmp_path / "a/history.csv")
    assert list(history)[:5] == ["trial", "trial_lr", "trial_pooling", "epoch", "lr"]
    assert len(history) == 6 * 4
    best = []
    for number, rows in history.groupby("trial"):
        row = rows.loc[rows["val_top1"].idxmax()]
        said = config["trials"][number]
        assert said["values"] == {"lr": row["trial_lr"], "pooling": row["trial_pooling"]}
        assert (said["best_epoch"], said["val_top1"]) == (row["epoch"], pytest.approx(row["val_top1"]))
        best.append((row["val_top1"], -row["val_loss"]))
    assert len(set(best)) > 1
    assert config["trial"] == best.index(max(best))
    assert accuracy(tmp_path / "a", made.open(settings).joins["val"]) == pytest.approx(max(best)[0])
    assert max(best)[0] > 60
    chosen = config["trials"][config["trial"]]["values"]
    assert {name: config["settings"][name] for name in chosen} == chosen
    assert config["settings"]["sweep"] == {}


def test_a_trial_is_what_it_would_be_alone(made, tmp_path):
    run(made.inputs(), tmp_path / "both")
    taken = config_of(tmp_path / "both")["trials"][config_of(tmp_path / "both")["trial"]]["values"]
    alone = changed(sweep={}, **taken)
    run(made.inputs(alone), tmp_path / "alone", alone)
    for name in ("model.safetensors", "predictions.csv"):
        assert (tmp_path / "both" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert config_of(tmp_path / "alone")["trials"][0]["values"] == {}
    assert list(pd.read_csv(tmp_path / "alone/history.csv"))[:2] == ["trial", "epoch"]


@pytest.mark.parametrize("settings", [SMALL, TUNED], ids=["frozen", "tuned"])
@pytest.mark.parametrize("stop_at", [4, 12, 15, 24])
def test_a_stopped_run_goes_on_bit_for_bit(made, tmp_path, monkeypatch, settings, stop_at):
    # A trial has 2 epochs of 6 batches: 4 stops inside the first, 12 at its end, 15 inside the second.
    def train(folder):
        return run(made.inputs(settings), folder, settings)

    check_goes_on(monkeypatch, train, tmp_path, stop_at, 24)


def test_gates_are_the_mean_over_validation(made, tmp_path):
    inputs = made.inputs()
    run(inputs, tmp_path / "a")
    method = load_fusion(tmp_path / "a/model.safetensors")
    seen = made.open().joins["val"].batch(np.arange(24)).features
    _, gates = method.model.fused(seen)
    found = config_of(tmp_path / "a")["gates"]
    assert found == {name: pytest.approx(gate.numpy().mean(), rel=1e-4) for name, gate in gates.items()}
    assert list(found) == TEACHERS


def test_frozen_converters_give_the_same_from_a_cache_and_on_the_fly(made, tmp_path):
    cached = files(run(made.inputs(), tmp_path / "cached"))
    before = {name: path.read_bytes() for name, path in made.converters.items()}
    inputs = made.inputs(SMALL, {STUDENT: made.real[STUDENT]}, converters=made.converters)
    assert files(run(inputs, tmp_path / "now")) == cached
    assert {name: path.read_bytes() for name, path in made.converters.items()} == before
    assert not any("core" in name for name in load_file(tmp_path / "now/model.safetensors"))


def test_finetuned_converters_are_trained_and_written_with_the_head(made, tmp_path):
    before = {name: path.read_bytes() for name, path in made.converters.items()}
    inputs = made.inputs(TUNED)
    assert list(made.open(TUNED).joins["train"].stores) == [STUDENT]
    run(inputs, tmp_path / "a", TUNED)
    assert {name: path.read_bytes() for name, path in made.converters.items()} == before
    weights, config = load_file(tmp_path / "a/model.safetensors"), config_of(tmp_path / "a")
    for name in TEACHERS:
        own = dict(load_converter(made.converters[name]).named_parameters())
        assert config["sources"][name]["kind"] == "finetuned"
        for part, value in own.items():
            assert not torch.equal(weights[f"converters.{name}.{part}"], value), part
    counted = [
        v.numel()
        for name, v in weights.items()
        if "standardise" not in name and name[-4:] not in ("mean", ".std")
    ]
    assert config["params"] == sum(counted)
    method = load_fusion(tmp_path / "a/model.safetensors")
    assert not method.training
    assert not any(parameter.requires_grad for parameter in method.parameters())
    test = rows_by_id(made.real[STUDENT]["test"])
    feature = torch.from_numpy(np.stack([test[name] for name in video_ids("test")]))
    found = method.logits({STUDENT: feature}).argmax(1).tolist()
    assert found == pd.read_csv(tmp_path / "a/predictions.csv")["pred"].tolist()


def test_dropout_of_a_finetuned_converter_is_off_in_evaluation(made, tmp_path):
    assert CONVERTER.dropout > 0
    inputs = made.inputs(TUNED)
    method = load_fusion(run(inputs, tmp_path / "a", TUNED) / "model.safetensors")
    torch.testing.assert_close(
        logits(method, features_to_test(inputs, tmp_path / "a"), 30, CPU),
        logits(method, features_to_test(inputs, tmp_path / "a"), 30, CPU),
        rtol=0,
        atol=0,
    )


@pytest.mark.parametrize("settings", [SMALL, TUNED], ids=["frozen", "tuned"])
def test_one_clip_at_a_time_gets_the_predictions_of_64(made, tmp_path, settings):
    inputs = made.inputs(settings)
    method = load_fusion(run(inputs, tmp_path / "a", settings) / "model.safetensors")
    one, many = (logits(method, features_to_test(inputs, tmp_path / "a"), size, CPU) for size in (1, 64))
    torch.testing.assert_close(one, many, rtol=0, atol=1e-5)
    assert (one.argmax(1) == many.argmax(1)).all()


def test_the_table_of_predictions(made, tmp_path):
    inputs = made.inputs()
    run(inputs, tmp_path / "a")
    table = pd.read_csv(tmp_path / "a/predictions.csv")
    assert list(table) == ["video_id", "label_id", "pred", "s_0", "s_1", "s_2"]
    assert table["video_id"].tolist() == video_ids("test")
    assert table["label_id"].tolist() == [label_of(name) for name in video_ids("test")]
    scores = logits(
        load_fusion(tmp_path / "a/model.safetensors"), features_to_test(inputs, tmp_path / "a"), 64, CPU
    )
    wanted = scores.double().softmax(1).numpy()
    np.testing.assert_allclose(table[["s_0", "s_1", "s_2"]].to_numpy(), wanted, rtol=1e-4, atol=1e-7)


def test_the_test_split_is_read_by_the_prediction_alone(made, tmp_path):
    wanted = files(run(made.inputs(), tmp_path / "a"))
    for file in made.real[STUDENT]["test"]:
        with h5py.File(file, "r+") as shard:
            shard["features"][...] = np.nan
    with pytest.raises(UserError, match=r"features are damaged: .* \(test_000, "):
        run(made.inputs(), tmp_path / "b")
    del wanted["predictions.csv"], wanted["efficiency.json"]
    assert files(tmp_path / "b") == wanted


def test_a_single_teacher_can_be_the_trunk(made, tmp_path):
    settings = changed(student=False, teachers=["videomae"], features="real", sweep={})
    run(made.inputs(settings), tmp_path / "a", settings)
    config = config_of(tmp_path / "a")
    assert list(config["sources"]) == ["videomae"]
    assert config["gates"] == {}


def test_a_run_that_cannot_be(made, tmp_path):
    large = changed(batch_size=97)
    with pytest.raises(
        UserError, match="batch_size 97 is larger than the 96 cached videos: lower batch_size"
    ):
        run(made.inputs(large), tmp_path / "a", large)
    wild = changed(optimizer="sgd", lr=1e30, sweep={}, clip_grad=None)
    with pytest.raises(UserError, match="lower lr"):
        run(made.inputs(wild), tmp_path / "b", wild)
    # Its one step is the last: no training loss is computed with the weights after it.
    last = changed(optimizer="sgd", lr=1e38, momentum=0, sweep={}, epochs=1, batch_size=96, clip_grad=None)
    with pytest.raises(UserError, match="logits of validation became NaN or infinite: lower lr"):
        run(made.inputs(last), tmp_path / "c", last)


def test_out_of_memory_names_the_knob(made, tmp_path):
    settings = changed(width=4_000_000, sweep={"batch_size": [8, 16]})  # a gate alone would take 128 TB
    with pytest.raises(UserError, match="out of memory with batch_size 8 or 16: lower it, or width"):
        run(made.inputs(settings), tmp_path / "a", settings)


def test_weights_of_something_else_are_refused(made, tmp_path):
    with pytest.raises(UserError, match=r"is no fusion head: .* Give the model\.safetensors of a fusion run"):
        load_fusion(made.converters["vivit"])
    folder = run(made.inputs(), tmp_path / "a")
    text = (folder / "config.json").read_text().replace('"width": 8', '"width": 16')
    (folder / "config.json").write_text(text)
    with pytest.raises(UserError, match="fits only"):
        load_fusion(folder / "model.safetensors")


def test_a_damaged_row_of_training_features_is_named(made, tmp_path):
    with h5py.File(made.real[STUDENT]["train"][0], "r+") as shard:
        shard["features"][0] = 0
    with pytest.raises(UserError, match="features are damaged"):
        run(made.inputs(), tmp_path / "a")


def test_float16_caches_are_trained_on(made, tmp_path):
    halves = {
        name: cache_of(tmp_path / "half", name, meta=replace(METAS[name], dtype="float16")) for name in SHAPES
    }
    settings = changed(features="real", sweep={})
    run(made.inputs(settings, halves), tmp_path / "a", settings)
    assert load_file(tmp_path / "a/model.safetensors")["classifier.weight"].dtype == torch.float32
