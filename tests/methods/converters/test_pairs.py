"""What a converter is trained on, and what is refused before the first step."""

from __future__ import annotations

import zlib
from dataclasses import replace

import h5py
import numpy as np
import pytest
from safetensors.torch import load_file

from tests.methods.converters.cached import (
    METAS,
    feature_of,
    inputs_of,
    make_pair,
    rows_by_id,
    video_ids,
    write_split,
)
from tests.methods.converters.trained import SMALL, changed, trained
from tests.methods.probes.cached import label_of, write
from vidkd.engine.run import read_config
from vidkd.errors import UserError
from vidkd.features.meta import COLUMNS, checksum
from vidkd.methods.converters.model import KINDS
from vidkd.methods.converters.pairs import open_pairs


def opened(shards, settings=SMALL):
    return open_pairs(settings, inputs_of({name: shards[name] for name in ("vjepa2", "videomae")}))


def test_rows_are_joined_by_video_id_with_the_students_first(pair):
    pairs = opened({name: pair[name] for name in ("videomae", "vjepa2")})
    assert pairs.train.video_ids == video_ids("train")
    batch = pairs.val.batch(np.array([20, 3]))
    assert list(batch.features) == ["vjepa2", "videomae"]
    for name, feature_BND in batch.features.items():
        for row, feature_ND in zip((20, 3), feature_BND.numpy(), strict=True):
            np.testing.assert_array_equal(feature_ND, feature_of(name, video_ids("val")[row]))
    assert [meta.backbone for meta in pairs.metas] == ["vjepa2", "videomae"]
    assert pairs.shapes == ((4, 6), (8, 5))


@pytest.fixture
def lacking(pair, tmp_path):
    """The teacher has not seven training videos, and the student not one of validation."""
    train, val = video_ids("train"), video_ids("val")
    pair["videomae"]["train"] = write_split(tmp_path / "fewer/train", "videomae", train[:10] + train[17:])
    pair["vjepa2"]["val"] = write_split(tmp_path / "fewer/val", "vjepa2", val[1:])
    return pair


def test_missing_videos_are_listed(lacking):
    first = "train_010, train_011, train_012, train_013, train_014"
    with pytest.raises(
        UserError, match=rf"^videomae has no features of 7 videos \({first} and 2 more\)\. Run"
    ):
        opened(lacking)


def test_missing_videos_are_left_out_where_that_is_allowed_and_said(lacking, tmp_path, caplog):
    with caplog.at_level("WARNING"):
        weights = trained(lacking, tmp_path / "a", changed(allow_missing=True, epochs=1))
    assert "train: videomae has no features of 7 videos (train_010, " in caplog.text
    assert "val: vjepa2 has no features of 1 videos (val_000)" in caplog.text
    assert read_config(weights)["left_out"] == {
        "train": {"videomae": {"videos": 7, "first": [f"train_0{k}" for k in range(10, 15)]}},
        "val": {"vjepa2": {"videos": 1, "first": ["val_000"]}},
    }
    pairs = opened(lacking, changed(allow_missing=True))
    assert (len(pairs.train), len(pairs.val)) == (89, 23)


def test_statistics_are_of_the_videos_that_are_learnt_from(lacking, tmp_path):
    weights = trained(lacking, tmp_path / "a", changed(allow_missing=True, epochs=0))
    rows = rows_by_id(lacking["vjepa2"]["train"])
    there = rows_by_id(lacking["videomae"]["train"])
    token = np.concatenate([rows[name] for name in there]).astype(np.float64)
    np.testing.assert_allclose(load_file(weights)["student.mean"].numpy(), token.mean(0), rtol=1e-5)


def test_caches_of_different_splits_have_no_video_in_common(pair):
    pair["videomae"]["train"] = pair["videomae"]["test"]
    with pytest.raises(UserError, match="vjepa2, videomae have no video in common: are they of one split"):
        opened(pair, changed(allow_missing=True))


def test_the_wrong_backbone_is_named(pair):
    swapped = {"vjepa2": pair["videomae"], "videomae": pair["vjepa2"]}
    with pytest.raises(
        UserError, match=r"shard_0\.h5 has features of videomae, not of vjepa2: give the files"
    ):
        opened(swapped)


def test_a_student_is_not_its_own_teacher(pair):
    with pytest.raises(UserError, match="vjepa2 is both the student and the teacher: name two backbones"):
        open_pairs(SMALL, inputs_of({"vjepa2": pair["vjepa2"]}))
    with pytest.raises(UserError, match="features of 3 networks are given: give those of the student, then"):
        open_pairs(SMALL, inputs_of(pair | {"vivit": pair["videomae"]}))


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_videos_is_named(pair, split):
    for shard in pair["videomae"][split]:
        write(shard, {}, METAS["videomae"])
    with pytest.raises(UserError, match=rf"{split} has features of no video"):
        opened(pair)


def test_splits_made_otherwise_are_named(pair, tmp_path):
    other = replace(METAS["videomae"], weights_sha256="12" * 32)
    pair["videomae"]["val"] = write_split(tmp_path / "other/val", "videomae", video_ids("val"), meta=other)
    with pytest.raises(UserError, match=r"val: made with other weights_sha256 than .*train"):
        opened(pair)


def test_labels_that_disagree_are_named(pair):
    (shard, *_) = pair["videomae"]["train"]
    rows = {name: (label_of(name), row) for name, row in rows_by_id([shard]).items()}
    first = sorted(rows)[0]
    rows[first] = (label_of(first) + 1, rows[first][1])
    write(shard, rows, METAS["videomae"])
    with pytest.raises(UserError, match=f"video '{first}' has label .* in vjepa2 and .* in videomae"):
        opened(pair)


@pytest.mark.parametrize(("split", "backbone"), [("train", "vjepa2"), ("val", "videomae")])
def test_features_that_are_not_finite_are_named(pair, tmp_path, split, backbone):
    """As a cache of another program may have them: ours refuses to write them."""
    shard = pair[backbone][split][0]
    with h5py.File(shard, "r+") as file:
        file["features"][1, 0, 0] = np.nan
        file["crc32"][1] = zlib.crc32(file["features"][1].tobytes())
        names = list(file["video_id"].asstr()[:])
        columns = {name: file[name][:] for name in COLUMNS}
        file.attrs["checksum"] = checksum(METAS[backbone], names, columns)
    with pytest.raises(UserError, match=f"features of video '{names[1]}' are NaN or infinite .{backbone}.: "):
        trained(pair, tmp_path / "a")


FULL = {name: replace(meta, tokens="full") for name, meta in METAS.items()}
SEVERAL = replace(METAS["vjepa2"], preprocessing={"size": 224, "views": 2})


def pair_of(folder, feature=feature_of, **metas):
    return {
        name: {
            split: write_split(folder / name / split, name, video_ids(split), meta=meta, feature=feature)
            for split in ("train", "val")
        }
        for name, meta in metas.items()
    }


def of_the_student(backbone, video_id):
    """As many tokens for both networks."""
    return feature_of("vjepa2", video_id)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metas", [FULL, METAS | {"vjepa2": SEVERAL}], ids=["full", "views"])
def test_time_and_place_in_one_axis_are_for_the_perceiver(tmp_path, kind, metas):
    shards = pair_of(tmp_path, **metas)
    if kind == "perceiver":
        assert opened(shards, changed(kind=kind)).shapes == ((4, 6), (8, 5))
        return
    with pytest.raises(
        UserError, match=rf"^kind {kind} .* 4 tokens of vjepa2 and the 8 of .*: use kind percei"
    ):
        opened(shards, changed(kind=kind))


def test_the_same_grid_on_both_sides_is_for_any(tmp_path):
    shards = pair_of(tmp_path, of_the_student, **FULL)
    assert opened(shards, changed(kind="linear")).shapes == ((4, 6), (4, 6))


def test_as_many_tokens_of_two_views_are_no_time_steps(tmp_path):
    shards = pair_of(tmp_path, of_the_student, **(METAS | {"vjepa2": SEVERAL}))
    with pytest.raises(UserError, match="4 tokens of vjepa2 and the 4 of videomae time and place are mixed"):
        opened(shards, changed(kind="linear"))


def test_files_that_are_no_caches(pair, tmp_path):
    pair["videomae"]["val"] = [tmp_path / "nothing.h5"]
    with pytest.raises(UserError, match=r"nothing\.h5: no feature store there\. Run snakemake features"):
        opened(pair)


def test_the_number_of_shards_may_differ(pair, tmp_path):
    other = make_pair(tmp_path / "other", n_shards=5)
    pairs = opened({"vjepa2": pair["vjepa2"], "videomae": other["videomae"]})
    assert pairs.train.video_ids == video_ids("train")
