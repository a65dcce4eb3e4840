"""The teacher's head: made as it says, measured, judged, and refused where it does not belong."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from torch.nn import functional as F

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which open_clip imports

# isort: split

import open_clip

from tests.backbones.checkpoints import make_timm, settings_of
from tests.methods.student.taught import CLASSES, COUNTS, MARKED, STUDENT, TEACHER, open_clips_own
from vidkd.backbones.registry import load_backbone
from vidkd.data.clips import collate
from vidkd.data.label_ids import read_labels
from vidkd.errors import UserError
from vidkd.features.store import FeatureStore
from vidkd.methods import teacher as teacher_module
from vidkd.methods.cached_teacher import CachedTeacher
from vidkd.methods.inputs import Inputs
from vidkd.methods.prompts import class_words, words_of
from vidkd.methods.student.encoder import pretrained_encoder
from vidkd.methods.student.method import Distil, OnlineTeacher
from vidkd.methods.student.model import Student
from vidkd.methods.student.train import open_teacher, student_clips
from vidkd.methods.teacher import fit_teacher, gate
from vidkd.methods.teacher_model import load_head

CPU = torch.device("cpu")


def settings(**more):
    return type(TEACHER).model_validate(TEACHER.model_dump() | more)


def video_means(shards):
    store = FeatureStore(shards)
    return store.rows(range(len(store))).double().mean(1), store.video_ids


def test_zero_shot_is_what_open_clip_says(taught):
    """Prompts through open_clip's own tokenizer and towers, by its own recipe for a classifier."""
    network = open_clips_own(taught.root / "clip")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{taught.root / 'clip'}")
    mean_ND = video_means(taught.features("test"))[0].float()
    with torch.no_grad():
        rows = []
        for name in CLASSES["colour"]:
            prompts = [template.format(name) for template in TEACHER.templates]
            rows.append(F.normalize(network.encode_text(tokenizer(prompts)), dim=1).mean(0))
        weight_KD = F.normalize(torch.stack(rows), dim=1)
        wanted = network.logit_scale.exp() * F.normalize(mean_ND, dim=1) @ weight_KD.T
    found = load_head(taught.head()).logits(mean_ND, "zero_shot")
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_average_is_the_mean_of_probabilities(taught):
    head, (mean_ND, _) = load_head(taught.head()), video_means(taught.features("val"))
    found = {one: head.logits(mean_ND.float(), one).softmax(1) for one in ("zero_shot", "probe", "average")}
    torch.testing.assert_close(found["average"], (found["zero_shot"] + found["probe"]) / 2)


@pytest.mark.parametrize("marked", [False, True])
def test_the_probe_is_fitted_on_labelled_videos_alone(own, marked):
    metrics = own.fit(marked_only=marked)
    assert metrics["fitted_on"] == (MARKED if marked else COUNTS["train"])
    _, names = video_means(own.features("train"))
    label_N = read_labels(own.labels(), names, 6, marked_only=marked)
    assert metrics["val_probe"] == pytest.approx(scikit_learns_probe(own, label_N))


def scikit_learns_probe(own, label_N):
    """Validation top-1 of the best of its regressions on the training videos whose label is not -1."""
    train_ND, _ = video_means(own.features("train"))
    val_ND, val_names = video_means(own.features("val"))
    train_ND, label_N = train_ND.numpy()[label_N >= 0], label_N[label_N >= 0]
    mean, std = train_ND.mean(0), train_ND.std(0)
    found = []
    for l2 in TEACHER.l2:
        model = LogisticRegression(C=1 / (l2 * len(train_ND)), max_iter=5000, tol=1e-6)
        model.fit((train_ND - mean) / std, label_N)
        pred = model.predict((val_ND.numpy() - mean) / std)
        found.append(100 * accuracy_score(read_labels(own.labels(), val_names, 6), pred))
    return max(found)


def test_videos_without_any_label_fit_no_head_and_are_distilled(own, tmp_path):
    """Of four training videos one has no class, as data.unlabelled: keep lists them."""
    _, names = video_means(own.features("train"))
    label_N = read_labels(own.labels(), names, 6)
    label_N[::4] = -1
    without = set(names[::4])
    own.relabel(lambda name, *rest: (name, "-1", "false", "") if name in without else (name, *rest))
    metrics = own.fit()
    assert metrics["fitted_on"] == 90
    assert metrics["val_probe"] == pytest.approx(scikit_learns_probe(own, label_N))
    own.train(tmp_path / "run", STUDENT.model_copy(update={"epochs": 1}))
    about = json.loads((tmp_path / "run/config.json").read_text())
    assert (about["train_clips"], about["labelled_clips"]) == (120, 90)


def test_metrics_are_those_of_the_predictions(taught):
    metrics = json.loads(taught.head().with_name("metrics.json").read_text())
    table = pd.read_csv(taught.head().with_name("predictions.csv"))
    label = table["label_id"]
    assert len(table) == metrics["test_clips"] == COUNTS["test"]
    for one in ("zero_shot", "probe", "average"):
        wanted = 100 * accuracy_score(label, table[f"pred_{one}"])
        assert metrics[f"test_{one}"] == pytest.approx(wanted)
    assert (table["pred"] == table["pred_average"]).all()
    largest = 100 * label.value_counts().max() / len(table)
    assert metrics["test_largest_class"] == pytest.approx(largest)
    np.testing.assert_allclose(table[[f"s_{k}" for k in range(6)]].sum(axis=1), 1, atol=1e-4)


def test_single_frames_tell_the_colour_and_not_the_motion(taught):
    gates = {
        label: json.loads(taught.head(label).with_name("config.json").read_text())["gate"]
        for label in CLASSES
    }
    assert gates["colour"]["passed"]
    assert not gates["motion"]["passed"]
    assert "saying the largest class of every video has" in gates["motion"]["reason"]


@pytest.mark.parametrize(
    ("top1", "largest", "margin", "passed"),
    [(40, 30, 10, True), (39.9, 30, 10, False), (30, 30, 0, False), (30.1, 30, 0, True), (20, 30, 0, False)],
)
def test_the_gate_asks_for_its_margin_and_for_more_than_the_largest_class(top1, largest, margin, passed):
    found = gate(top1, largest, margin)
    assert found["passed"] is passed
    assert bool(found["reason"]) is not passed


def test_a_random_head_is_refused(own, monkeypatch, tmp_path):
    """The public code's teacher: with such a head nothing is trained."""
    made = teacher_module.fit_linear

    def random_probe(*arguments):
        found = made(*arguments)
        torch.manual_seed(0)
        torch.nn.init.normal_(found.probe.classifier.weight)
        return found

    monkeypatch.setattr(teacher_module, "fit_linear", random_probe)
    own.fit(settings=settings(head="probe", margin=10))
    with pytest.raises(UserError, match=r"the teacher is refused: its validation top-1 is"):
        own.train(tmp_path / "run")
    assert not (tmp_path / "run/model.safetensors").exists()


def batch(taught, count=6):
    clips = student_clips(STUDENT, Inputs(taught.needs()), CLASSES["colour"], seed=0)
    return collate([clips[(3, row)] for row in range(count)]), clips


def test_online_the_teacher_sees_the_students_own_view(taught):
    """Against open_clip on the pixels of the batch, frame by frame, mirrored and cropped as they are."""
    network = open_clips_own(taught.root / "clip")
    found, _ = batch(taught)
    out = OnlineTeacher(load_backbone(taught.clip), load_head(taught.head()), CPU)(found)
    pixels = {name: network.visual.preprocess_cfg[name] for name in ("mean", "std")}
    config = open_clip.transform.PreprocessCfg(size=32, **pixels)
    preprocess = open_clip.transform.image_transform_v2(config, is_train=False)
    for row, clip_TCHW in enumerate(found.clips[4]):
        images = [preprocess(Image.fromarray(frame.permute(1, 2, 0).numpy())) for frame in clip_TCHW]
        with torch.no_grad():
            wanted_TD = network.encode_image(torch.stack(images))
        torch.testing.assert_close(out.frame_features[row], wanted_TD, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(out.features[row], wanted_TD.mean(0), rtol=1e-3, atol=1e-4)


def test_student_and_teacher_are_given_the_same_pixels(taught):
    """Those of the batch, where either network begins: mirrored for one of them they would be others."""
    found, _ = batch(taught)
    teacher = OnlineTeacher(load_backbone(taught.clip), load_head(taught.head()), CPU)
    method = Distil(Student(pretrained_encoder(taught.start), 6, STUDENT), teacher, STUDENT)
    seen = []
    for network in (method.model.encoder, teacher.network):
        network.normalise.register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(0, -4)))
    wanted = found.clips[4].flatten(0, 1).clone()
    method(found, torch.Generator())
    assert len(seen) == 2
    assert all(torch.equal(pixels, wanted) for pixels in seen)
    assert not torch.equal(wanted, wanted.flip(-1))


def test_views_of_another_epoch_are_taught_otherwise(taught):
    """Online targets follow the augmentation; cached ones do not."""
    _, clips = batch(taught)
    one, other = (collate([clips[(epoch, row)] for row in range(4)]) for epoch in (0, 1))
    online = OnlineTeacher(load_backbone(taught.clip), load_head(taught.head()), CPU)
    assert not torch.allclose(online(one).features, online(other).features)
    store = FeatureStore(taught.features("train"))
    cached = CachedTeacher(store, clips.store.video_ids, load_head(taught.head()), CPU)
    assert torch.equal(cached(one).features, cached(other).features)


def test_cached_features_are_found_by_video_id_whatever_the_order(taught):
    found, clips = batch(taught)
    store = FeatureStore(taught.features("train"))
    backwards = list(reversed(clips.store.video_ids))
    cached = CachedTeacher(store, backwards, load_head(taught.head()), CPU)
    found.row = len(backwards) - 1 - found.row
    wanted = store.rows(store.rows_of(clips.store.video_ids[:6])).mean(1)
    torch.testing.assert_close(cached(found).features, wanted)


def test_of_scattered_videos_each_has_its_own_cached_features(own):
    """Every third video has a label: a row of the clips is not that of the store."""
    own.relabel(
        lambda name, label, mark, ids: (
            name, label, str("_train_" not in name or int(name[-5:]) % 3 == 0).lower(), ids
        )
    )  # fmt: skip
    chosen = STUDENT.model_copy(update={"teacher_view": "cached", "unlabelled": "drop"})
    inputs = Inputs(own.needs(marked_only=True))
    clips = student_clips(chosen, inputs, CLASSES["colour"], seed=0)
    assert len(clips.store) == 40
    model = Student(pretrained_encoder(own.start), 6, chosen)
    given = model, clips, CLASSES["colour"], Accelerator(cpu=True)
    teacher = open_teacher(chosen, inputs, *given)
    taught = teacher(collate([clips[(0, row)] for row in (39, 1, 20)]))
    store = FeatureStore(own.features("train"))
    names = ["target_train_00117", "target_train_00003", "target_train_00060"]
    wanted = store.rows(store.rows_of(names)).mean(1)
    torch.testing.assert_close(taught.features, wanted)
    assert not torch.allclose(wanted, store.rows([39, 1, 20]).mean(1))


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("move_left", "move left"), ("ApplyEyeMakeup", "apply eye makeup"), ("YoYo", "yo yo"),
        ("brush-hair", "brush hair"), ("HDVideo2", "hd video 2"), ("Café au lait", "café au lait"),
        ("Pulling something from left to right", "pulling something from left to right"),
    ],
)  # fmt: skip
def test_labels_are_taken_apart_into_words(label, words):
    assert words_of(label) == words


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"red": "crimson"}, r"class_names has no words for blue, cyan.*or leave class_names empty"),
        ({"rod": "crimson"}, r"there is no class 'rod'; did you mean red\?"),
        (dict.fromkeys(CLASSES["colour"], "same"), r"would have the same prompts \('same'\)"),
        (dict.fromkeys(CLASSES["colour"], " "), r"class_names has no words for"),
    ],
)
def test_classes_that_prompts_lack_are_named(own, given, says):
    with pytest.raises(UserError, match=says):
        own.fit(settings=settings(class_names=given))


def test_a_label_without_a_word_is_named():
    with pytest.raises(UserError, match=r"class '\+\+' has no words to make a prompt of"):
        class_words(["++", "a"], {})


def test_a_class_without_labelled_videos_is_named(own):
    own.relabel(lambda name, label, mark, ids: (name, label, "false" if label == "2" else mark, ids))
    with pytest.raises(UserError, match=r"no labelled training video is of class green"):
        own.fit(marked_only=True)


def test_a_video_of_validation_without_a_label_is_refused(own):
    unknown = "target_val_00001"
    own.relabel(lambda name, label, mark, ids: (name, "-1" if name == unknown else label, mark, ids))
    with pytest.raises(UserError, match=r"a val video has no label"):
        own.fit()


def test_the_features_of_another_clip_are_refused(own, tmp_path):
    clip = own.another_clip(tmp_path / "other")
    with pytest.raises(UserError, match=r"the cached features are of a network with weights"):
        own.fit(clip=clip)
    with pytest.raises(UserError, match=r"is a head for a network with weights"):
        dataclasses.replace(own, clip=clip).train(tmp_path / "run")


def test_only_clip_has_a_text_tower(own, tmp_path):
    make_timm(tmp_path / "timm")
    with pytest.raises(UserError, match=r"the teacher is of the kind timm; only clip has a text tower"):
        own.fit(clip=settings_of("timm", tmp_path / "timm"))


def test_without_a_network_there_is_the_linear_head_alone(own, tmp_path):
    """As of a VideoMAE: the same regression as the CLIP's own."""
    inputs = Inputs(own.needs(networks={}))
    fit_teacher(settings(head="probe"), inputs, tmp_path)
    head, of_clip = load_head(tmp_path / "model.safetensors"), load_head(own.head())
    assert head.heads == ("probe",)
    assert set(head.state_dict()) == {name for name in of_clip.state_dict() if name.startswith("probe.")}
    mean_ND, _ = video_means(own.features("test"))
    assert torch.equal(head(mean_ND[:, None]).logits, of_clip.logits(mean_ND.float(), "probe"))
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert list(table) == ["video_id", "label_id", "pred", *(f"s_{k}" for k in range(6))]
    with pytest.raises(UserError, match=r"head average is that of a CLIP: give --network teacher=JSON"):
        fit_teacher(settings(), inputs, tmp_path / "other")


def test_a_head_is_that_of_one_network(own, tmp_path):
    for features in ({}, {name: own.needs().features["clip"] for name in "ab"}):
        with pytest.raises(UserError, match=rf"features of one, not of {len(features)}"):
            fit_teacher(settings(), Inputs(own.needs(features=features)), tmp_path)


def test_other_files_are_no_head(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"is no head of a teacher: its config\.json has no classes"):
        load_head(tmp_path / "model.safetensors")
