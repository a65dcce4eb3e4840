"""Loading a converter, and which features it may convert."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.methods.converters.cached import METAS, SHAPES, feature_of, make_pair, rows_by_id, video_ids
from tests.methods.converters.trained import changed, trained
from vidkd.errors import UserError
from vidkd.methods.converters.load import DECIDING, check_made_for, converter_config, load_converter
from vidkd.methods.converters.model import KINDS, build_converter
from vidkd.methods.converters.settings import ConverterSettings

OWN = METAS["vjepa2"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_trained_is_what_is_loaded(pair, tmp_path, kind):
    weights = trained(pair, tmp_path / kind, changed(kind=kind, epochs=1))
    expected = build_converter(changed(kind=kind), SHAPES["vjepa2"], SHAPES["videomae"]).eval()
    expected.load_state_dict(load_file(weights), strict=True)
    found = load_converter(weights)
    feature = torch.from_numpy(feature_of("vjepa2", "test_000"))[None]
    assert torch.equal(found(feature), expected(feature))
    assert (found.student_shape, found.teacher_shape) == (SHAPES["vjepa2"], SHAPES["videomae"])
    assert not found.training
    assert not any(parameter.requires_grad for parameter in found.parameters())


def test_what_decides_features_is_the_same(weights):
    config = converter_config(weights)
    allowed = replace(
        OWN, dtype="float16", decoder="another", frames_digest="00" * 32, versions={"torch": "3.0"}
    )
    assert OWN.differing(allowed, DECIDING) == []
    check_made_for(weights, config, OWN)
    check_made_for(weights, config, allowed)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("backbone", "vivit", "backbone vjepa2, not vivit"),
        ("weights_sha256", "12" * 32, f"weights_sha256 {'ab' * 32}, not {'12' * 32}"),
        ("preprocessing", {"size": 256}, r"preprocessing {.*224.*}, not {'size': 256}"),
        ("tokens", "full", "tokens time, not full"),
        ("frames", 16, "frames 4, not 16"),
    ],
)
def test_features_of_another_network_are_refused(weights, field, value, said):
    other = replace(OWN, **{field: value})
    (found,) = OWN.differing(other, DECIDING)
    assert re.fullmatch(said, found)
    with pytest.raises(UserError, match=rf"run/model\.safetensors .*{said}\. Train it on these features, or"):
        check_made_for(weights, converter_config(weights), other)


def test_every_difference_is_said(weights):
    other = replace(OWN, tokens="clip", frames=8, dtype="float16")
    with pytest.raises(UserError, match=r"frames 4, not 8; tokens time, not clip\. "):
        check_made_for(weights, converter_config(weights), other)


@pytest.mark.parametrize(
    ("absent", "words"),
    [(["teacher_meta", "student"], r"student, teacher_meta"), (["student_shape"], r"student_shape")],
)
def test_a_run_of_another_method_is_no_converter(weights, absent, words):
    path = weights.with_name("config.json")
    config = json.loads(path.read_text())
    path.write_text(json.dumps({name: config[name] for name in config if name not in absent}))
    with pytest.raises(UserError, match=rf"is no converter: .*config\.json has no {words}\. Give"):
        load_converter(weights)


def test_the_config_is_missing(weights):
    weights.with_name("config.json").unlink()
    with pytest.raises(UserError, match=r"config\.json is missing: it says which network"):
        load_converter(weights)


@pytest.mark.parametrize("text", ["{", "[]", '"text"'])
def test_a_config_that_is_cut(weights, text):
    weights.with_name("config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json"):
        load_converter(weights)


@pytest.mark.parametrize("changes", [{"tokens": "clip"}, {"digest": None}, {"preprocessing": "{"}])
def test_a_config_that_was_changed_by_hand(weights, changes):
    path = weights.with_name("config.json")
    config = json.loads(path.read_text())
    config["teacher_meta"] |= changes
    path.write_text(json.dumps(config))
    with pytest.raises(
        UserError, match=r"config\.json is damaged: teacher_meta is not what its training wrote"
    ):
        load_converter(weights)


def test_weights_of_another_converter_are_refused(pair, weights, tmp_path):
    other = trained(pair, tmp_path / "other", changed(kind="linear", epochs=0))
    weights.write_bytes(other.read_bytes())
    with pytest.raises(UserError, match=r"run/model\.safetensors fits only .*missing or of another shape"):
        load_converter(weights)


def test_a_missing_tensor_is_named(weights):
    state = load_file(weights)
    del state["core.leave.bias"]
    save_file(state, weights)
    with pytest.raises(UserError, match=r"core\.leave\.bias"):
        load_converter(weights)


def test_weights_that_are_cut(weights):
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match="is not a safetensors file"):
        load_converter(weights)


def test_the_random_converter_is_loaded_as_any_other(pair, tmp_path):
    weights = trained(pair, tmp_path / "random", changed(epochs=0))
    rows = rows_by_id(pair["vjepa2"]["test"])
    converted = load_converter(weights)(torch.from_numpy(rows[video_ids("test")[0]])[None])
    assert converted.isfinite().all()
    assert converted.std() > 0


def test_the_default_settings_are_loadable(tmp_path):
    weights = trained(make_pair(tmp_path / "pair"), tmp_path / "run", ConverterSettings(epochs=1))
    assert load_converter(weights).student_shape == SHAPES["vjepa2"]
