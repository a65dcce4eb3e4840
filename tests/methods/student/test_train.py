"""Training on real frame stores: what is written, what a stop costs, and what is refused."""

from __future__ import annotations

import itertools
import json

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from tests.engine.stops import signal_after
from tests.methods.student.taught import CE, CLASSES, COUNTS, MARKED, STUDENT, changed, film
from vidkd.backbones.registry import load_backbone
from vidkd.data.clips import collate
from vidkd.data.frames import FrameStore
from vidkd.data.label_ids import read_labels
from vidkd.engine.checkpoint import load_state
from vidkd.engine.gradients import check_gradients
from vidkd.engine.runtime import Interrupted
from vidkd.errors import UserError
from vidkd.features.store import FeatureStore
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Network
from vidkd.methods.student.encoder import pretrained_encoder
from vidkd.methods.student.method import Distil, OnlineTeacher
from vidkd.methods.student.model import Student
from vidkd.methods.student.predict import load_student, run
from vidkd.methods.student.train import naming_lone_value, student_clips, terms_of
from vidkd.methods.teacher_model import load_head

TERMS = {"feature_loss", "hint_loss", "response_loss", "task_loss"}
CPU = torch.device("cpu")


def files(weights):
    return {path.name: path.read_bytes() for path in weights.parent.iterdir() if path.is_file()}


def config(weights):
    return json.loads(weights.with_name("config.json").read_text())


@pytest.mark.parametrize("view", ["online", "cached"])
def test_two_runs_write_the_same_bytes(taught, tmp_path, view):
    chosen = changed(teacher_view=view, hint=0.1)
    first, second = (taught.train(tmp_path / name, chosen) for name in "ab")
    assert set(files(first)) == {"model.safetensors", "config.json", "history.csv"}
    assert files(first) == files(second)
    assert not (tmp_path / "a/.state").exists()
    history = pd.read_csv(tmp_path / "a/history.csv")
    assert TERMS | {"val_top1", "val_loss", "val_cosine"} <= set(history.columns)
    assert config(first)["teacher_view"] == view
    norms = config(first)["gradient_norms"]
    assert set(norms) == TERMS
    assert min(norms.values()) > 0


def test_the_teacher_is_in_neither_weights_nor_states(taught, tmp_path, monkeypatch):
    signal_after(monkeypatch, 3)
    with pytest.raises(Interrupted):
        taught.train(tmp_path / "run")
    state = load_state(tmp_path / "run/.state", "a")
    monkeypatch.undo()
    names = {name.removeprefix("model.") for name in state["weights"]}
    assert names == set(load_file(taught.train(tmp_path / "run")))
    assert {name.split(".")[0] for name in names} == {"encoder", "projection", "pooling", "classifier"}


@pytest.mark.parametrize(("view", "stop"), [("online", 3), ("online", 14), ("cached", 11)])
def test_a_stopped_run_ends_in_the_same_bytes(taught, tmp_path, monkeypatch, view, stop):
    chosen = changed(teacher_view=view, dropout=0.2)
    wanted = files(taught.train(tmp_path / "whole", chosen))
    signal_after(monkeypatch, stop)
    with pytest.raises(Interrupted):
        taught.train(tmp_path / "stopped", chosen)
    monkeypatch.undo()
    assert files(taught.train(tmp_path / "stopped", chosen)) == wanted


def test_workers_change_nothing(taught, tmp_path):
    one, other = (taught.train(tmp_path / str(count), changed(epochs=1), workers=count) for count in (0, 2))
    assert files(one) == files(other)


def test_history_has_what_the_kept_weights_give(taught, tmp_path):
    weights = taught.train(tmp_path / "run")
    model, chosen, about = load_student(weights)
    store = FrameStore(taught.frames("val"))
    output = run(model, store, chosen, 0)
    label_N = torch.from_numpy(read_labels(taught.labels(), store.video_ids, 6)).long()
    best = pd.read_csv(tmp_path / "run/history.csv").set_index("epoch").loc[about["best_epoch"]]
    right = 100 * (output.logits.argmax(1) == label_N).double().mean().item()
    assert best["val_top1"] == pytest.approx(right)
    assert best["val_loss"] == pytest.approx(F.cross_entropy(output.logits, label_N).item(), rel=1e-4)
    cached = FeatureStore(taught.features("val"))
    teacher_ND = cached.rows(cached.rows_of(store.video_ids)).mean(1)
    cosine = F.cosine_similarity(output.features, teacher_ND, dim=1).mean().item()
    assert best["val_cosine"] == pytest.approx(cosine, abs=1e-4)


USED = {
    "distil": ({}, (COUNTS["train"], MARKED)),
    "drop": ({"unlabelled": "drop"}, (MARKED, MARKED)),
    "ce": (CE, (MARKED, MARKED)),
    "all": ({"all_labels": True}, (COUNTS["train"], COUNTS["train"])),
}


@pytest.mark.parametrize("name", USED)
def test_unlabelled_clips_are_distilled_or_left_out(taught, tmp_path, name):
    changes, wanted = USED[name]
    found = config(
        taught.train(tmp_path / name, changed(epochs=1, **changes), needs=taught.needs(marked_only=True))
    )
    assert (found["train_clips"], found["labelled_clips"]) == wanted


def test_labels_that_are_not_marked_have_no_influence(own, tmp_path):
    """Another label in the file for a training video that is not marked: the same student."""
    chosen = changed(epochs=1)
    first = files(own.train(tmp_path / "a", chosen, needs=own.needs(marked_only=True)))
    header, *lines = own.labels().read_text().splitlines()
    rows = [line.split(",") for line in lines]
    other = [
        [name, str((int(label) + 1) % 6) if mark == "false" else label, mark, ids]
        for name, label, mark, ids in rows
    ]
    assert other != rows
    own.labels().write_text("\n".join([header, *map(",".join, other)]) + "\n")
    assert files(own.train(tmp_path / "b", chosen, needs=own.needs(marked_only=True))) == first
    assert files(own.train(tmp_path / "c", chosen)) != first


def test_without_a_teacher_labels_alone_teach(taught, tmp_path):
    alone = taught.needs(networks={"start": Network(settings=taught.start)})
    weights = taught.train(tmp_path / "run", changed(epochs=1, **CE), alone)
    assert config(weights)["teacher_view"] == "none"
    assert "val_cosine" not in pd.read_csv(tmp_path / "run/history.csv")
    says = r"need a teacher: give --network teacher=JSON and --network-head teacher=FILE, or set them to 0"
    with pytest.raises(UserError, match=says):
        taught.train(tmp_path / "other", needs=alone)


@pytest.mark.parametrize("pooling", ["attention", "cls", "mean"])
def test_a_clip_of_one_frame_and_a_batch_of_one(taught, tmp_path, pooling):
    small = {"frames": 1, "batch_size": 1, "epochs": 1, "size": 64}
    chosen = changed(pooling=pooling, positions=True, response="dist", hint=0.1, **small)
    norms = config(taught.train(tmp_path / "run", chosen))["gradient_norms"]
    assert set(norms) == TERMS
    assert min(norms.values()) > 0


def test_one_value_of_a_channel_in_a_batch_is_refused(taught, tmp_path):
    """MobileViT makes one pixel of 32 x 32, which has no deviation."""
    says = r"batch_size 1, frames 1 and size 32 leave a BatchNorm .* one value .*: raise one of them"
    with pytest.raises(UserError, match=says):
        taught.train(tmp_path / "run", changed(frames=1, batch_size=1))
    assert not (tmp_path / "run/model.safetensors").exists()
    with pytest.raises(ValueError, match="something else"), naming_lone_value(STUDENT):
        raise ValueError("something else")


FORMS = {
    f"{response}-{feature}": ({"response": response, "feature": feature, "hint": 0.1}, TERMS)
    for response, feature in itertools.product(("kd", "dkd", "dist"), ("mse", "cosine"))
}
BASELINES = {
    "response alone": ({"alpha": 0, "gamma": 0}, {"response_loss"}),
    "features and labels": ({"beta": 0}, {"feature_loss", "task_loss"}),
    "standardised logits": ({"logit_standardisation": True}, TERMS - {"hint_loss"}),
}


@pytest.mark.parametrize(("changes", "terms"), (FORMS | BASELINES).values(), ids=FORMS | BASELINES)
def test_every_term_moves_the_student_and_every_parameter_is_moved(taught, changes, terms):
    chosen = changed(**changes)
    clips = student_clips(chosen, Inputs(taught.needs()), CLASSES["colour"], seed=0)
    found = collate([clips[(0, row)] for row in range(12)])
    teacher = OnlineTeacher(load_backbone(taught.clip), load_head(taught.head()), CPU)
    method = Distil(Student(pretrained_encoder(taught.start), 6, chosen), teacher, chosen)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    norms = check_gradients(method, method.model, terms_of(chosen), found, seed=0)
    assert set(norms) == terms
    assert min(norms.values()) > 0
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    sum(method.train()(found, torch.Generator()).values()).backward()
    still = [name for name, value in method.named_parameters() if value.grad is None or not value.grad.any()]
    assert still == []


class Dead(torch.nn.Module):
    """As the asymmetric term and lazy projections of public code: no gradient at what is trained."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, batch, generator):
        elsewhere = torch.ones(2, requires_grad=True)
        return {"task_loss": self.weight.sum(), "response_loss": elsewhere.sum()}


def test_a_term_that_reaches_nothing_is_refused(taught):
    clips = student_clips(changed(), Inputs(taught.needs()), CLASSES["colour"], seed=0)
    found, dead = collate([clips[(0, 0)]]), Dead()
    with pytest.raises(UserError, match=r"response_loss would teach nothing: no gradient of it reaches"):
        check_gradients(dead, dead, ["task_loss", "response_loss"], found, seed=0)


def test_the_teacher_gate_stops_the_training(taught, tmp_path):
    motion = taught.needs("motion")
    with pytest.raises(UserError, match=r"the teacher is refused: its validation top-1 is"):
        taught.train(tmp_path / "run", needs=motion)
    assert not (tmp_path / "run").exists()
    weights = taught.train(tmp_path / "ce", changed(epochs=1, **CE), motion)
    assert len(config(weights)["classes"]) == 12


def test_a_head_for_other_classes_is_refused(taught, tmp_path):
    with pytest.raises(UserError, match=r"knows 6 classes that are not the 12 of the student"):
        taught.train(tmp_path / "run", needs=taught.needs("motion", head="colour"))


def test_a_cache_that_lacks_videos_is_refused(taught, tmp_path):
    needs = taught.with_features("train", taught.features("val"))
    with pytest.raises(UserError, match=r"target_train_00000"):
        taught.train(tmp_path / "run", changed(teacher_view="cached"), needs)


@pytest.mark.parametrize(("view", "split"), [("cached", "train"), ("cached", "val"), ("online", "val")])
def test_the_cache_of_another_clip_is_refused(taught, tmp_path, view, split):
    needs = taught.with_features(split, taught.cached_by_another_clip(split, tmp_path))
    with pytest.raises(UserError, match=r"is a head for other features than these of other"):
        taught.train(tmp_path / "run", changed(teacher_view=view), needs)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "chosen", [{"projection": False}, {"width": 32}, {"width": 32, "alpha": 0, "hint": 1}]
)
def test_unequal_widths_are_refused(taught, tmp_path, chosen):
    says = r"the student has (320|32) features and the teacher 24: set projection"
    with pytest.raises(UserError, match=says):
        taught.train(tmp_path / "run", changed(**chosen))
    responses = changed(epochs=1, **(chosen | {"alpha": 0, "hint": 0}))
    found = config(taught.train(tmp_path / "kd", responses))
    assert set(found["gradient_norms"]) == {"response_loss", "task_loss"}


def test_hints_need_as_many_frames_of_both(taught, tmp_path):
    says = r"hint compares each of 2 frames of the student with the teacher's.*have 4"
    with pytest.raises(UserError, match=says):
        taught.train(tmp_path / "run", changed(teacher_view="cached", hint=1, frames=2))
    taught.train(tmp_path / "online", changed(hint=1, frames=2, epochs=1))


def test_a_batch_larger_than_what_there_is_to_learn_is_refused(taught, tmp_path):
    with pytest.raises(UserError, match=r"batch_size 70 is larger than the 60 training clips"):
        taught.train(tmp_path / "run", changed(batch_size=70, **CE), needs=taught.needs(marked_only=True))


def test_a_video_that_is_not_listed_is_named(own, tmp_path):
    lines = own.labels().read_text().splitlines()
    own.labels().write_text("\n".join(line for line in lines if "train_00007" not in line) + "\n")
    with pytest.raises(UserError, match=r"has no label of 1 videos, 'target_train_00007' among them"):
        own.train(tmp_path / "run")


@pytest.mark.slow
def test_video_based_and_frame_based_loading_train_the_same_student(tmp_path):
    """Decoded when asked for, and decoded once: the same bytes of weights."""
    found = []
    for encoding in ("raw", "none"):
        made = film(tmp_path / encoding, encoding)
        found.append(files(made.train(tmp_path / f"run_{encoding}", changed(epochs=1))))
    assert found[0]["model.safetensors"] == found[1]["model.safetensors"]
    assert found[0]["history.csv"] == found[1]["history.csv"]


def test_pixels_that_a_network_does_not_take_are_refused(taught, tmp_path):
    teacher = taught.needs().networks["teacher"]
    needs = taught.needs(networks={"teacher": teacher})
    says = r"size: vit_tiny_patch16_224 takes no frames of 64 pixels .*set 0 for its own 224"
    with pytest.raises(UserError, match=says):
        taught.train(tmp_path / "run", changed(arch="vit_tiny_patch16_224", size=64), needs)


def test_labels_of_another_label_are_refused(taught, tmp_path):
    needs = taught.needs(labels=str(taught.labels("motion")))
    with pytest.raises(UserError, match=r"and there are 6 classes: give labels and class names of one label"):
        taught.train(tmp_path / "run", changed(**CE), needs)


def test_few_labels_among_many_are_found(own, tmp_path):
    """One labelled clip, far from the first batches."""
    header, *lines = own.labels().read_text().splitlines()
    marks = [line.replace(",true", ",false") if "_train_" in line else line for line in lines]
    marks = [line.replace(",false", ",true") if "_train_00077" in line else line for line in marks]
    own.labels().write_text("\n".join([header, *marks]) + "\n")
    found = config(own.train(tmp_path / "run", changed(epochs=1), needs=own.needs(marked_only=True)))
    assert (found["train_clips"], found["labelled_clips"]) == (COUNTS["train"], 1)
    assert found["gradient_norms"]["task_loss"] > 0
