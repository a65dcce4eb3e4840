"""Whole trainings on rendered videos: what is written, what teaches, what is refused."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.engine.stops import signal_after
from tests.methods.student.taught import MARKED
from tests.methods.trimodel.assisted import (
    Assisted,
    changed,
    exported,
    make_assistant,
    make_teacher,
)  # fmt: skip
from vidkd.backbones.extract import cache_shard
from vidkd.engine.runtime import Interrupted
from vidkd.errors import UserError
from vidkd.methods.needs import Network
from vidkd.methods.trimodel.predict import load_student

TERMS = {
    "task_loss", "teacher_feature_loss", "assistant_feature_loss", "teacher_attention_loss",
    "assistant_attention_loss", "asymmetric_loss",
}  # fmt: skip
ALONE = {"teacher_feature_weight": 0, "assistant_feature_weight": 0}


def config(weights):
    return json.loads(weights.with_name("config.json").read_text())


def test_every_term_teaches_and_is_in_the_history(assisted, tmp_path):
    weights = assisted.train(tmp_path / "run")
    found = config(weights)
    assert set(found["gradient_norms"]) == TERMS
    assert min(found["gradient_norms"].values()) > 0
    history = pd.read_csv(tmp_path / "run/history.csv")
    assert {*TERMS, "val_loss", "val_top1"} <= set(history)
    assert (found["train_clips"], found["labelled_clips"]) == (120, 120)
    assert found["teacher"] != found["assistant"] != "none"
    assert not (tmp_path / "run/.state").exists()
    # Neither a frozen network nor a projector is written: the student alone.
    names = set(load_file(weights))
    assert all(name.startswith("network.") for name in names)
    own = exported(weights, tmp_path / "export")
    assert {f"network.{name}" for name in own.state_dict()} == names


@pytest.mark.parametrize(
    ("changes", "terms"),
    [
        (ALONE, {"task_loss"}),
        ({"assistant_feature_weight": 0}, {name for name in TERMS if "assistant" not in name}),
        ({"teacher_feature_weight": 0}, {name for name in TERMS if "teacher" not in name}),
        ({"attention_distillation_weight": 0}, {name for name in TERMS if "attention" not in name}),
        ({"asymmetric_weight": 0}, TERMS - {"asymmetric_loss"}),
        ({"asymmetric": "decorrelation", "attention": "mse", "feature": "normalised"}, TERMS),
        ({"classification_weight": 0}, TERMS - {"task_loss"}),
    ],
)
def test_variants_have_the_terms_that_they_say(assisted, tmp_path, changes, terms):
    found = config(assisted.train(tmp_path / "run", changed(epochs=1, **changes)))
    assert set(found["gradient_norms"]) == terms
    assert min(found["gradient_norms"].values()) > 0
    assert (found["teacher"] == "none") == (not any("teacher" in name for name in terms))


def test_two_trainings_give_the_same_bytes(assisted, tmp_path):
    mixed = changed(epochs=1, drop_path=0.3, mixup=0.4, layer_decay=0.7)
    first, second = (assisted.train(tmp_path / name, mixed) for name in "ab")
    for name in ("model.safetensors", "config.json", "history.csv"):
        assert first.with_name(name).read_bytes() == second.with_name(name).read_bytes()
    for weights in (first, second):
        exported(weights, weights.with_name("export"))
    for name in ("model.safetensors", "config.json", "preprocessor_config.json"):
        assert (
            first.with_name("export").joinpath(name).read_bytes()
            == second.with_name("export").joinpath(name).read_bytes()
        )
    plain = assisted.train(tmp_path / "c", changed(epochs=1))
    assert first.read_bytes() != plain.read_bytes()


def test_an_interrupted_training_ends_in_the_same_bytes(assisted, tmp_path, monkeypatch):
    random = changed(epochs=2, drop_path=0.2, mixup=0.2)
    whole = assisted.train(tmp_path / "whole", random)
    signal_after(monkeypatch, 7)
    with pytest.raises(Interrupted):
        assisted.train(tmp_path / "cut", random)
    monkeypatch.undo()
    resumed = assisted.train(tmp_path / "cut", random)
    assert resumed.read_bytes() == whole.read_bytes()
    assert (tmp_path / "cut/history.csv").read_bytes() == (tmp_path / "whole/history.csv").read_bytes()


def test_gradient_checkpointing_changes_no_bit(assisted, tmp_path):
    first = assisted.train(tmp_path / "a", changed(epochs=1))
    second = assisted.train(tmp_path / "b", changed(epochs=1, gradient_checkpointing=True))
    one, other = load_file(first), load_file(second)
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_unlabelled_clips_learn_from_both_networks_alone(assisted, tmp_path):
    marked = {"needs": assisted.needs(marked_only=True)}
    found = config(assisted.train(tmp_path / "a", changed(epochs=1), **marked))
    assert (found["train_clips"], found["labelled_clips"]) == (120, MARKED)
    found = config(assisted.train(tmp_path / "b", changed(epochs=1, unlabelled="drop"), **marked))
    assert (found["train_clips"], found["labelled_clips"]) == (MARKED, MARKED)
    found = config(assisted.train(tmp_path / "c", changed(epochs=1, **ALONE), **marked))
    assert (found["train_clips"], found["labelled_clips"]) == (MARKED, MARKED)
    found = config(assisted.train(tmp_path / "d", changed(epochs=1, all_labels=True), **marked))
    assert (found["train_clips"], found["labelled_clips"]) == (120, 120)


def test_the_gate_refuses_teacher_and_assistant(assisted, tmp_path):
    motion = {"needs": assisted.needs("motion")}
    with pytest.raises(UserError, match=r"the teacher is refused: its validation top-1 is"):
        assisted.train(tmp_path / "run", **motion)
    assert not (tmp_path / "run/model.safetensors").exists()
    with pytest.raises(UserError, match=r"the assistant is refused: its validation top-1 is"):
        assisted.train(tmp_path / "run", changed(teacher_feature_weight=0), **motion)
    assert not (tmp_path / "run/model.safetensors").exists()


def test_the_control_is_random_and_says_so(assisted, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        found = config(assisted.train(tmp_path / "run", changed(epochs=1, random_assistant=True)))
    assert found["assistant"] == "random"
    assert "the weights of the assistant are random" in caplog.text
    real = assisted.train(tmp_path / "real", changed(epochs=1))
    assert real.read_bytes() != (tmp_path / "run/model.safetensors").read_bytes()


def test_a_network_of_the_settings_size(assisted, tmp_path):
    small = changed(backbone=None, size=32, patch=8, width=24, layers=2, heads=2, initial_std=0.1, epochs=1)
    weights = assisted.train(tmp_path / "run", small)
    model, _, found = load_student(weights)
    assert model.network.config.hidden_size == 24
    assert set(found["gradient_norms"]) == TERMS


def test_what_a_network_is_not_given_for_is_refused(assisted, tmp_path):
    with pytest.raises(
        UserError, match=r"assistant_feature_weight is above 0: give --network assistant=JSON"
    ):
        assisted.train(tmp_path / "run", needs=assisted.needs(roles=["teacher"]))
    headless = assisted.needs().networks | {"assistant": Network(settings=assisted.backbones["assistant"])}
    with pytest.raises(UserError, match=r"and --network-head assistant=FILE, or set it to 0"):
        assisted.train(tmp_path / "run", needs=assisted.needs().model_copy(update={"networks": headless}))
    motion = {"networks": assisted.needs("motion").networks}
    with pytest.raises(UserError, match=r"knows other classes than the student"):
        assisted.train(tmp_path / "run", needs=assisted.needs().model_copy(update=motion))


@pytest.mark.parametrize("index", [4, -4, 7])
def test_a_layer_that_is_not_there_is_refused(assisted, tmp_path, index):
    with pytest.raises(
        UserError, match=rf"the student has 3 layers and no layer {index}: name layers from 1"
    ):
        assisted.train(tmp_path / "run", changed(hidden_layers_to_align=(index,)))


def test_frames_that_do_not_divide_are_refused(assisted, tmp_path):
    with pytest.raises(UserError, match=r"3 frames do not divide into tubelets of 2"):
        assisted.train(tmp_path / "run", changed(frames=3))


def test_unlike_grids_are_interpolated_or_refused(own: Assisted, tmp_path, caplog):
    make_assistant(own.root / "assistant", patch=16)
    for split in ("train", "val", "test"):
        cache = own.features("assistant", split)[0]
        cache.unlink()
        cache_shard(own.frames(split)[0], "assistant", own.backbones["assistant"], cache)
    own.fit("assistant")
    with pytest.raises(UserError, match=r"assistant are 2 x 2 x 2 tokens, .*2 x 4 x 4 .*cannot be compared"):
        own.train(tmp_path / "run")
    with caplog.at_level(logging.WARNING):
        found = config(own.train(tmp_path / "run", changed(epochs=1, attention_distillation_weight=0)))
    assert "hidden states are interpolated" in caplog.text
    assert found["gradient_norms"]["assistant_feature_loss"] > 0


def test_another_network_than_the_head_was_made_for_is_refused(own: Assisted, tmp_path):
    make_teacher(own.root / "teacher", layers=2)
    with pytest.raises(UserError, match=r"is a head for a network with weights"):
        own.train(tmp_path / "run", changed(hidden_layers_to_align=(-1,)))


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"<!DOCTYPE html>"])
def test_an_assistant_that_is_cut_or_a_page_is_refused(own: Assisted, tmp_path, damage):
    file = own.root / "assistant/pytorch_model.bin"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UserError, match=r"pytorch_model\.bin"):
        own.train(tmp_path / "run")
    assert not (tmp_path / "run").exists()


LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from tests.methods.trimodel.assisted import STUDENT, Assisted, changed
large = changed(
    STUDENT, backbone=None, size=32, patch=4, frames=4, width=256, layers=8, heads=4, batch_size=120,
    teacher_feature_weight=0, assistant_feature_weight=0,
)
lines = Path("/proc/self/status").read_text().splitlines()
(used,) = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmSize")]
resource.setrlimit(resource.RLIMIT_AS, (used + 700 * 2**20, used + 700 * 2**20))
assisted = Assisted(Path(sys.argv[1]))
assisted.train(Path(sys.argv[2]), large, assisted.needs(roles=[]))
"""


@pytest.mark.slow
def test_a_process_with_little_memory_names_the_knobs(made_once, tmp_path):
    """Layers of 120 clips, about 2 GB, and room for 0.7."""
    command = [sys.executable, "-c", LITTLE_MEMORY, str(made_once), str(tmp_path / "run")]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        "UserError: out of memory with batch_size 120: lower it and raise accumulate (of a notebook "
        "gradient_accumulation_steps), set gradient_checkpointing: true (of a notebook in recipe), or "
        "attention_distillation_weight: 0, or lower frames (4)"
    ) in done.stderr
    assert not [file for file in (tmp_path / "run").glob("*") if file.is_file()]
