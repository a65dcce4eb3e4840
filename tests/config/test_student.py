"""Settings of students: what does not fit together is said at once."""

from __future__ import annotations

import pytest

from vidkd.config.load import load_settings
from vidkd.errors import UserError
from vidkd.methods.base import Plan
from vidkd.methods.student.plan import Student

CLIP = {"kind": "clip", "folder": "a"}
BACKBONES = {"clip": CLIP, "timm": {"kind": "timm", "folder": "b"}}


def load(student, backbones=BACKBONES, **more):
    return load_settings(
        {"backbones": backbones, "student": {"teacher": {"backbone": "clip"}} | student, **more}
    )


def test_defaults_are_the_seeds():
    base = load({}).student.base
    assert (base.alpha, base.beta, base.gamma, base.temperature) == (0.5, 1.0, 0.1, 3.0)
    assert (base.feature, base.pooling, base.positions, base.clip_grad) == ("mse", "attention", False, 1.0)
    assert (base.optimizer, base.schedule, base.frames, base.batch_size) == ("adamw", "cosine", 8, 8)
    assert (base.arch, base.width, base.teacher_view) == ("mobilevit_xxs", 512, "online")


@pytest.mark.parametrize(
    ("student", "says"),
    [
        (
            {"teacher": {"backbone": "timm"}},
            "student.teacher.backbone: timm is of the kind timm; allowed: the kind clip",
        ),
        (
            {"teacher": {"backbone": "clop"}},
            "student.teacher.backbone: no backbone is called clop; did you mean clip?",
        ),
        ({"base": {"backbone": "clip"}}, "backbone: clip is of the kind clip; allowed: the kind timm"),
        ({"base": {"frames": 64}}, "frames: 64 frames are asked of videos stored with 32"),
        (
            {"base": {"eval_frame_sampling": "dense", "frames": 8, "frame_stride": 8}},
            "frames: 57 frames are asked of videos stored with 32",
        ),
        (
            {"base": {"beta": 0, "gamma": 0}},
            "student.base.gamma: beta and gamma are 0, and nothing would teach the classifier",
        ),
        (
            {
                "variants": {"ce": {}, "features": {"alpha": 0, "beta": 0, "gamma": 0, "hint": 1}},
                "export": "ce",
            },
            "gamma: beta and gamma are 0, and nothing would teach the classifier",
        ),
        ({"base": {"size": 8}}, "student.base.size: found 8; allowed: 0, or whole number from 16"),
        (
            {"base": {"teacher_view": "cached", "flip": "swap", "flip_labels": {"a": "b"}}},
            "student.base.flip: cached features are of videos that are not mirrored",
        ),
        ({"variants": {"ce": {}, "teacher": {}}}, "teacher is the row of the teacher"),
        ({"variants": {"ce": {}, "export": {}}}, "export is the folder of the exported student"),
        ({"baseline": "cf"}, "student.baseline: no variant is named 'cf'; known: ce, distilled, mean"),
        ({"export": "nothing"}, "student.export: no variant is named 'nothing'"),
        ({"label": "../x"}, "student.label: found '../x'"),
        ({"teacher": {"backbone": "clip", "templates": ["a thing"]}}, "allowed: text with {} once"),
        ({"teacher": {"backbone": "clip", "templates": ["{} or {}"]}}, "allowed: text with {} once"),
    ],
)
def test_a_wrong_setting_is_named(student, says):
    with pytest.raises(UserError) as caught:
        load(student)
    assert says in str(caught.value)


def test_a_teacher_takes_one_view():
    with pytest.raises(UserError, match=r"backbones\.clip\.views: a teacher takes one view and one crop"):
        load({}, BACKBONES | {"clip": CLIP | {"views": 2}})


def test_data_sets_with_one_label_have_no_other():
    data = {"adapter": "csv", "root": "r", "annotations": "a"}
    with pytest.raises(
        UserError, match=r"student\.label: the videos of data\.adapter csv have one label each"
    ):
        load({"label": "shape"}, data=data)
    assert Student(Plan(load({}, data=data))).label == "class"


def test_without_a_teacher_nothing_of_it_is_checked():
    cfg = load_settings({"student": {"base": {"backbone": "nothing"}}})
    assert Student(Plan(cfg)).listed_labels == []
