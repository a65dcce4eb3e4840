"""The teacher's head: made as it says, measured, judged, and refused where it does not belong."""

from __future__ import annotations

import json

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from torch.nn import functional as F

from tests.backbones.checkpoints import make_clip, make_timm, settings_of
from tests.methods.student.taught import CLASSES, COUNTS, MARKED, STUDENT, TEACHER
from vidkd.backbones.clip import CLIP
from vidkd.backbones.registry import load_backbone
from vidkd.data.clips import collate
from vidkd.data.features import FeatureStore
from vidkd.data.label_ids import read_labels
from vidkd.errors import UserError
from vidkd.methods.student import fit
from vidkd.methods.student.prompts import class_words, words_of
from vidkd.methods.student.teacher import CachedTeacher, OnlineTeacher, load_head
from vidkd.methods.student.train import training_clips

CPU = torch.device("cpu")


def settings(**more):
    return type(TEACHER).model_validate(TEACHER.model_dump() | more)


def test_zero_shot_is_what_open_clip_says(taught, tmp_path):
    """Prompts through open_clip's own tokenizer and towers, by its own recipe for a classifier."""
    network = make_clip(tmp_path / "clip")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'clip'}")
    with torch.no_grad():
        rows = []
        for name in CLASSES["colour"]:
            prompts = [template.format(name) for template in TEACHER.templates]
            rows.append(F.normalize(network.encode_text(tokenizer(prompts)), dim=1).mean(0))
        weight_KD = F.normalize(torch.stack(rows), dim=1)
        store = FeatureStore(taught.features("test"))
        frame_BTD = store.rows(range(5))
        wanted = network.logit_scale.exp() * F.normalize(frame_BTD.mean(1), dim=1) @ weight_KD.T
    head = load_head(taught.head())
    torch.testing.assert_close(head.logits(frame_BTD.mean(1), "zero_shot"), wanted, rtol=1e-4, atol=1e-4)


def probabilities(taught, one):
    head, store = load_head(taught.head()), FeatureStore(taught.features("val"))
    return head.logits(store.rows(range(len(store))).mean(1), one).softmax(1).numpy()


def test_average_is_the_mean_of_probabilities(taught):
    both = (probabilities(taught, "zero_shot") + probabilities(taught, "probe")) / 2
    np.testing.assert_allclose(probabilities(taught, "average"), both, atol=1e-5)


@pytest.mark.parametrize("marked", [False, True])
def test_the_probe_is_fitted_on_labelled_videos_alone(own, marked):
    metrics = own.fit(marked_only=marked)
    assert metrics["fitted_on"] == (MARKED if marked else COUNTS["train"])
    store, val = FeatureStore(own.features("train")), FeatureStore(own.features("val"))
    label_N = read_labels(own.labels(), store.video_ids, marked_only=marked)
    mean_ND = store.rows(range(len(store))).double().mean(1).numpy()[label_N >= 0]
    mean, std = mean_ND.mean(0), mean_ND.std(0)
    best = 0.0
    for l2 in TEACHER.l2:
        model = LogisticRegression(C=1 / (l2 * len(mean_ND)), max_iter=5000, tol=1e-6)
        model.fit((mean_ND - mean) / std, label_N[label_N >= 0])
        val_ND = val.rows(range(len(val))).double().mean(1).numpy()
        best = max(best, accuracy_score(read_labels(own.labels(), val.video_ids), model.predict((val_ND -
        mean) / std)))
    assert metrics["val_probe"] == pytest.approx(100 * best)


def test_metrics_are_those_of_the_predictions(taught):
    metrics = json.loads(taught.head().with_name("metrics.json").read_text())
    table = pd.read_csv(taught.head().with_name("predictions.csv"))
    assert len(table) == metrics["test_clips"] == COUNTS["test"]
    for one in ("zero_shot", "probe", "average"):
        assert metrics[f"test_{one}"] == pytest.approx(100 * accuracy_score(table["label_id"],
        table[f"pred_{one}"]))
    assert (table["pred"] == table["pred_average"]).all()
    assert metrics["test_largest_class"] == pytest.approx(100 * table["label_id"].value_counts().max() /
    len(table)) np.testing.assert_allclose(table[[f"s_{k}" for k in range(6)]].sum(axis=1), 1, atol=1e-4)



def test_single_frames_tell_the_colour_and_not_the_motion(taught):
    gates = {
        label: json.loads(taught.head(label).with_name("config.json").read_text())["gate"] for label in
            CLASSES
    }
    assert gates["colour"]["passed"]
    assert not gates["motion"]["passed"]
    assert "saying the largest class of every video has" in gates["motion"]["reason"]


@pytest.mark.parametrize(
    ("top1", "largest", "margin", "passed"),
    [(40, 30, 10, True), (39.9, 30, 10, False), (30, 30, 0, False), (30.1, 30, 0, True), (20, 30, 0, False)],
)
def test_the_gate_asks_for_its_margin_and_always_for_more_than_the_largest_class(top1, largest, margin, passed):
    found = fit.gate(top1, largest, margin)
    assert found["passed"] is passed
    assert bool(found["reason"]) is not passed


def test_a_random_head_is_refused(own, monkeypatch, tmp_path):
    """The public code's teacher: with such a head nothing is trained."""

    def shuffled(settings, feature_ND, labels, classes):
        probe, history = made(settings, feature_ND, labels, classes)
        torch.manual_seed(0)
        torch.nn.init.normal_(probe.classifier.weight)
        return probe, history

    made = fit._probe
    monkeypatch.setattr(fit, "_probe", shuffled)
    own.fit(settings=settings(head="probe", margin=10))
    with pytest.raises(UserError, match=r"the teacher is refused: its validation top-1 is .*A student would learn noise"):
own.train(tmp_path / "run") assert not (tmp_path / "run/model.safetensors").exists() def batch(taught, count=6): clips = training_clips(STUDENT, taught.videos(), CLASSES["colour"], seed=0) return collate([clips[(3, row)] for row in range(count)]), clips def test_online_the_teacher_sees_the_students_own_view(taught, tmp_path):
    """Against open_clip on the pixels of the batch, each frame by itself, mirrored and cropped as they are.""" network = make_clip(tmp_path / "clip") found, _ = batch(taught) teacher = OnlineTeacher(load_backbone(taught.clip), load_head(taught.head()), CPU) out = teacher(found) preprocess = open_clip.image_transform_v2(open_clip.PreprocessCfg( size=32, mean=network.visual.preprocess_cfg["mean"], std=network.visual.preprocess_cfg["std"], ), is_train=False)  # fmt: skip for row, clip_TCHW in enumerate(found.clips[4]): images = [preprocess(Image.fromarray(frame.permute(1, 2, 0).numpy())) for frame in clip_TCHW] with torch.no_grad(): wanted_TD = network.encode_image(torch.stack(images)) torch.testing.assert_close(out.frame_features[row], wanted_TD, rtol=1e-3, atol=1e-4) torch.testing.assert_close(out.features[row], wanted_TD.mean(0), rtol=1e-3, atol=1e-4) def test_views_of_another_epoch_are_taught_otherwise(taught): """Online targets follow the augmentation; cached ones do not.""" _, clips = batch(taught) one, other = (collate([clips[(epoch, row)] for row in range(4)]) for epoch in (0, 1)) online = OnlineTeacher(load_backbone(taught.clip), load_head(taught.head()), CPU) assert not torch.allclose(online(one).features, online(other).features) store = FeatureStore(taught.features("train")) cached = CachedTeacher(store, clips.store.video_ids, load_head(taught.head()), CPU) assert torch.equal(cached(one).features, cached(other).features) def test_cached_features_are_found_by_video_id_whatever_the_order(taught): found, clips = batch(taught) store = FeatureStore(taught.features("train")) shuffled = list(reversed(clips.store.video_ids)) cached = CachedTeacher(store, shuffled, load_head(taught.head()), CPU) found.row = len(shuffled) - 1 - found.row wanted = store.rows(store.rows_of(clips.store.video_ids[:6])).mean(1) torch.testing.assert_close(cached(found).features, wanted) def test_the_teacher_never_trains(taught): network = load_backbone(taught.clip) assert isinstance(network, CLIP) network.train() assert not network.training assert not network.network.training assert not any(value.requires_grad for value in network.parameters()) @pytest.mark.parametrize(
    ("label", "words"),
    [
        ("move_left", "move left"), ("ApplyEyeMakeup", "apply eye makeup"), ("YoYo", "yo yo"),
        ("brush-hair", "brush hair"), ("TVon2", "t von 2"), ("Café au lait", "café au lait"),
        ("Pulling something from left to right", "pulling something from left to right"),
    ],
)  # fmt: skip def test_labels_are_taken_apart_into_words(label, words): assert words_of(label) == words @pytest.mark.parametrize( ("given", "says"), [ ({"red": "crimson"}, r"class_names has no words for blue, cyan.*or leave class_names empty"), ({"rod": "crimson"}, r"there is no class 'rod'; did you mean red\?"), (dict.fromkeys(CLASSES["colour"], "same"), r"would have the same prompts \('same'\)"), ({name: " " for name in CLASSES["colour"]}, r"class_names has no words for"), ], ) def test_classes_that_prompts_lack_are_named(own, given, says): with pytest.raises(UserError, match=says): own.fit(settings=settings(class_names=given)) def test_a_label_without_a_word_is_named(): with pytest.raises(UserError, match=r"class '\+\+' has no words to make a prompt of"): class_words(["++", "a"], {}) def test_a_class_without_labelled_videos_is_named(own): rows = own.labels().read_text().replace(",2,true", ",2,false") own.labels().write_text(rows) with pytest.raises(UserError, match=r"no labelled training video is of class green"): own.fit(marked_only=True) def test_a_video_of_validation_without_a_label_is_refused(own): lines = own.labels().read_text().splitlines() lines = [line.replace(line.split(",")[1], "-1", 1) if "_val_00001" in line else line for line in lines] own.labels().write_text("\n".join(lines).replace("_-1", "_1") + "\n") store = FeatureStore(own.features("val")) if (read_labels(own.labels(), store.video_ids) < 0).any(): with pytest.raises(UserError, match=r"a val video has no label"): own.fit() def test_the_features_of_another_clip_are_refused(own, tmp_path): other = make_clip(tmp_path / "other") with torch.no_grad(): other.logit_scale.add_(1) from safetensors.torch import save_file save_file(other.state_dict(), tmp_path / "other/open_clip_model.safetensors") clip = settings_of("clip", tmp_path / "other", frames=4) with pytest.raises(UserError, match=r"the cached features are of a network with weights"): own.fit(clip=clip) teaching = own.teaching() with pytest.raises(UserError, match=r"is a head for a network with weights"): own.train(tmp_path / "run", teaching=type(teaching)(teaching.head, clip, teaching.train, teaching.val)) def test_only_clip_has_a_text_tower(own, tmp_path): make_timm(tmp_path / "timm") with pytest.raises(UserError, match=r"the teacher is of the kind timm; only clip has a text tower"): own.fit(clip=settings_of("timm", tmp_path / "timm")) def test_other_files_are_no_head(taught, tmp_path): (tmp_path / "config.json").write_text("{}") (tmp_path / "model.safetensors").write_bytes(b"") with pytest.raises(UserError, match=r"is no head of a teacher: its config\.json has no classes"): load_head(tmp_path / "model.safetensors")
