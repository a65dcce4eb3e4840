"""What goes into a head: where it comes from, and what is refused in words."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

from tests.methods.converters.cached import write_split
from tests.methods.converters.trained import trained
from tests.methods.fusion.cached import (
    CONVERTER,
    METAS,
    SHAPES,
    SMALL,
    STUDENT,
    cache_of,
    changed,
    convert_all,
    feature_of,
    label_of,
    run,
    video_ids,
)
from vidkd.errors import UserError
from vidkd.methods.fusion.sources import open_inputs
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs

REAL = changed(features="real")
TUNED = changed(finetune_converters=True)
ONE = changed(teachers=["videomae"])


@pytest.fixture
def lacking(made, tmp_path):
    """Real features of a teacher that lack two videos of train and one of test."""
    gone = {"train": ["train_003", "train_007"], "val": [], "test": ["test_000"]}
    shards = made.shards(REAL)
    shards["videomae"] = {
        split: write_split(
            tmp_path / "lacking" / split, "videomae", sorted({*video_ids(split)} - {*names}),
            meta=METAS["videomae"], feature=feature_of,
        )
        for split, names in gone.items()
    }  # fmt: skip
    return shards


def test_the_first_is_the_student_and_then_come_the_teachers_as_named(made):
    assert list(made.open().inputs) == ["vjepa2", "videomae", "vivit"]
    turned = changed(teachers=["vivit", "videomae"])
    assert list(made.open(turned).inputs) == ["vjepa2", "vivit", "videomae"]
    assert list(made.open(changed(student=False)).inputs) == ["videomae", "vivit"]


def test_without_teachers_all_that_is_given_goes_in(made):
    settings = changed(teachers=None)
    assert list(made.open(settings, made.shards(SMALL)).inputs) == list(SHAPES)
    assert list(made.open(settings, {STUDENT: made.real[STUDENT]}).inputs) == [STUDENT]


def test_a_batch_has_the_features_and_label_of_its_videos(made):
    join = made.open(REAL).joins["val"]
    batch = join.batch(np.array([5, 2]))
    for name in SHAPES:
        wanted = np.stack([feature_of(name, "val_005"), feature_of(name, "val_002")])
        np.testing.assert_array_equal(batch.features[name].numpy(), wanted)
    assert batch.label.tolist() == [label_of("val_005"), label_of("val_002")]


def test_a_teacher_without_videos_is_refused_by_name(made, lacking):
    with pytest.raises(UserError, match=r"videomae has no features of 2 videos \(train_003, train_007\)"):
        made.open(REAL, lacking)


def test_missing_videos_are_left_out_where_that_is_allowed_and_said(made, lacking, tmp_path, caplog):
    settings = changed(features="real", allow_missing=True)
    sources = made.open(settings, lacking)
    assert [len(sources.joins[split]) for split in ("train", "val")] == [94, 24]
    assert "train_003" not in sources.joins["train"].video_ids
    assert "videomae has no features of 2 videos (train_003, train_007)" in caplog.text
    folder = run(made.inputs(settings, lacking), tmp_path / "a", settings)
    config = json.loads((folder / "config.json").read_text())
    assert config["left_out"] == {"train": {"videomae": {"videos": 2, "first": ["train_003", "train_007"]}}}
    assert "test: videomae has no features of 1 videos (test_000)" in caplog.text
    assert (folder / "predictions.csv").read_text().count("test_") == 29


def test_nothing_of_a_teacher(made):
    shards = {STUDENT: made.real[STUDENT], "vivit": made.converted["vivit"]}
    with pytest.raises(
        UserError,
        match=r"there is nothing of videomae: give --feature-stores videomae\.SPLIT=FOLDER .* --trained",
    ):
        made.open(SMALL, shards)
    with pytest.raises(
        UserError, match=r"there are no features of vivit: give --feature-stores vivit\.SPLIT=FOLDER"
    ):
        made.open(REAL, {name: made.real[name] for name in (STUDENT, "videomae")})
    with pytest.raises(UserError, match="there are no features of vjepa2"):
        made.open(SMALL, made.converted)


def test_something_of_a_network_that_is_no_input(made):
    with pytest.raises(
        UserError, match=r"vivit is neither the student vjepa2 nor one of the teachers \(videomae\)"
    ):
        made.open(ONE, made.shards(SMALL))
    with pytest.raises(UserError, match="vjepa2 is the student and a teacher"):
        made.open(changed(teachers=[STUDENT]), made.shards(SMALL))


def test_features_of_another_network_than_named(made):
    shards = made.shards(REAL) | {"vivit": made.real["videomae"]}
    with pytest.raises(UserError, match="what is given as vivit are features of videomae"):
        made.open(REAL, shards)


def test_real_features_for_converted_and_the_other_way_round(made):
    with pytest.raises(
        UserError, match="features are converted, and what is given as videomae is of videomae itself"
    ):
        made.open(SMALL, made.shards(REAL))
    with pytest.raises(
        UserError, match="features are real, and what is given as videomae has been converted"
    ):
        made.open(REAL, made.shards(SMALL))
    with pytest.raises(UserError, match="features are real, and a converter of videomae is given"):
        made.open(REAL, converters=made.converters)


def test_finetuning_takes_converters_and_no_cache_of_them(made):
    with pytest.raises(
        UserError, match=r"finetune_converters trains the converter of videomae, .* give --trained"
    ):
        made.open(TUNED, made.shards(SMALL))


def test_converted_features_of_another_student(made, tmp_path):
    other = replace(METAS[STUDENT], weights_sha256="99" * 32)
    shards = made.shards(SMALL) | {STUDENT: cache_of(tmp_path / "other", STUDENT, meta=other)}
    with pytest.raises(
        UserError, match="videomae were made from another vjepa2 than the others: from other weights"
    ):
        made.open(SMALL, shards)
    other = replace(METAS[STUDENT], frames_digest="77" * 32)
    shards[STUDENT] = cache_of(tmp_path / "frames", STUDENT, meta=other)
    with pytest.raises(
        UserError, match=r"from other features of it\. Delete them and run convert_features again"
    ):
        made.open(SMALL, shards)


def test_two_converters_from_different_students(made, tmp_path):
    """Also where the student itself is no input, and the two have nothing else to be compared with."""
    other = replace(METAS[STUDENT], weights_sha256="99" * 32)
    student = cache_of(tmp_path / "other", STUDENT, meta=other)
    real = {STUDENT: student, "vivit": made.real["vivit"]}
    weights = trained(real, tmp_path / "run", CONVERTER, teacher="vivit")
    outputs = {split: tmp_path / f"to/{split}/shard_0.h5" for split in student}
    convert_all(weights, student, outputs)
    shards = made.converted | {"vivit": {split: [file] for split, file in outputs.items()}}
    with pytest.raises(UserError, match="vivit were made from another vjepa2 than the others"):
        made.open(changed(student=False), shards)


def test_converted_features_of_other_weights_than_the_converter_given(made):
    assert list(made.open(SMALL, converters=made.converters).inputs) == list(SHAPES)
    swapped = {"vivit": made.converters["videomae"]}
    with pytest.raises(UserError, match=r"converted features of vivit are not those of .*model\.safetensors"):
        made.open(SMALL, converters=swapped)


def test_converters_of_another_pair(made):
    student = {STUDENT: made.real[STUDENT]}
    swapped = {"vivit": made.converters["videomae"], "videomae": made.converters["vivit"]}
    with pytest.raises(UserError, match="converts vjepa2 to vivit, not vjepa2 to videomae"):
        made.open(SMALL, student, converters=swapped)


@pytest.mark.parametrize("settings", [SMALL, TUNED], ids=["frozen", "tuned"])
def test_converters_of_other_weights_of_the_student(made, tmp_path, settings):
    other = replace(METAS[STUDENT], weights_sha256="99" * 32)
    student = {STUDENT: cache_of(tmp_path / "other", STUDENT, meta=other)}
    with pytest.raises(UserError, match=rf"weights_sha256 {'ab' * 32}, not {'99' * 32}"):
        made.open(settings, student, converters=made.converters)


def test_a_file_that_is_no_converter(made, tmp_path):
    head = run(made.inputs(), tmp_path / "head") / "model.safetensors"
    given = {"videomae": head, "vivit": made.converters["vivit"]}
    with pytest.raises(UserError, match="is no converter"):
        made.open(SMALL, {STUDENT: made.real[STUDENT]}, converters=given)


def test_classes_that_are_not_those_of_the_labels(made):
    made.classes.write_text(json.dumps(["ant", "bee"]))
    with pytest.raises(UserError, match=r"has label 2, and .*classes\.json has 2 classes"):
        made.open()
    made.classes.write_text(json.dumps(["ant", "bee", "cat", "dog"]))
    with pytest.raises(UserError, match="none of the 96 training videos is of class dog"):
        made.open()


def test_splits_that_were_not_made_alike(made, tmp_path):
    other = cache_of(tmp_path / "other", STUDENT, meta=replace(METAS[STUDENT], weights_sha256="99" * 32))
    shutil.copy(other["val"][0], made.real[STUDENT]["val"][0])
    with pytest.raises(UserError, match="made with other weights_sha256"):
        made.open()


def test_tokens_of_time_and_place_that_are_not_as_many(made, tmp_path):
    full = {name: replace(meta, tokens="full") for name, meta in METAS.items()}
    shards = {name: cache_of(tmp_path / "full", name, meta=full[name]) for name in SHAPES}
    with pytest.raises(
        UserError, match="vjepa2 has 4 tokens and videomae 8, in which time and place are mixed"
    ):
        made.open(REAL, shards)
    alike = changed(features="real", teachers=["vivit"])  # 4 tokens, as the student has
    assert list(made.open(alike, {name: shards[name] for name in (STUDENT, "vivit")}).inputs) == [
        STUDENT,
        "vivit",
    ]


def test_as_many_tokens_of_something_else(made, tmp_path):
    """The student's are four time steps, the teacher's as many of time and place."""
    shards = {STUDENT: made.real[STUDENT]}
    shards["vivit"] = cache_of(tmp_path / "full", "vivit", meta=replace(METAS["vivit"], tokens="full"))
    with pytest.raises(UserError, match="vjepa2 has 4 tokens and vivit 4, in which time and place are mixed"):
        made.open(changed(features="real", teachers=["vivit"]), shards)


def test_converted_tokens_are_of_the_views_that_the_teacher_has(made, tmp_path):
    meta = METAS["videomae"]
    views = replace(meta, preprocessing={**meta.preprocessing, "views": 2})
    shards = {STUDENT: made.real[STUDENT], "videomae": cache_of(tmp_path / "views", "videomae", meta=views)}
    settings = CONVERTER.model_copy(update={"kind": "perceiver", "heads": 2})
    weights = trained(shards, tmp_path / "run", settings)
    with pytest.raises(UserError, match="vjepa2 has 4 tokens and videomae 8, in which time and place are"):
        made.open(ONE, {STUDENT: shards[STUDENT]}, converters={"videomae": weights})


def test_a_cache_without_labels(made):
    with h5py.File(made.real[STUDENT]["val"][1], "r+") as shard:
        del shard["label_id"]
    with pytest.raises(UserError, match="cached features do not contain labels"):
        made.open()


def test_no_input_at_all(made):
    settings = changed(student=False, teachers=None)
    with pytest.raises(UserError, match="there is no input"):
        made.open(settings, {STUDENT: made.real[STUDENT]})
    with pytest.raises(UserError, match="there is no input"):
        open_inputs(settings, Inputs(Needs()))
