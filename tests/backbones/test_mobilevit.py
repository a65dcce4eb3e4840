"""Image encoders against timm itself."""

from __future__ import annotations

import json

import pytest
import torch

from tests.backbones.checkpoints import clips, edit_json, make_timm, settings_of
from tests.backbones.directly import timm_frames
from vidkd.backbones.mobilevit import load
from vidkd.errors import UserError


@pytest.mark.parametrize(
    ("architecture", "width"),
    [
        ("mobilevit_xxs", 320),
        ("mobilenetv3_small_050", 1024),
        ("test_vit", 64),
        ("test_resnet", 96),
    ],
)
def test_features_are_timms(tmp_path, architecture, width):
    make_timm(tmp_path, architecture)
    clip = clips(2, 8)
    backbone = load(settings_of("timm", tmp_path))
    found_BTSD = backbone(clip)
    wanted_ND = timm_frames(tmp_path, clip)
    torch.testing.assert_close(found_BTSD, wanted_ND.reshape(2, 8, 1, width), rtol=1e-5, atol=1e-5)
    assert found_BTSD.std() > 0.01
    assert backbone.spec.width == width


def test_preprocessing_is_the_checkpoints(made):
    spec = load(settings_of("timm", made("timm").folder)).spec
    assert (spec.mean, spec.std, spec.crop) == ((0.1, 0.0, 0.2), (1.0, 0.9, 1.0), 1.0)


def test_parameters_of_mobilevit_xxs(made):
    """951,024 without its head, as the paper's table and the project's page of methods say."""
    backbone = load(settings_of("timm", made("timm").folder))
    assert sum(parameter.numel() for parameter in backbone.parameters()) == 951_024


@pytest.mark.parametrize("name", ["mean", "std", "input_size", "crop_pct"])
def test_missing_preprocessing_is_refused(tmp_path, name):
    make_timm(tmp_path, "test_resnet")
    written = json.loads((tmp_path / "config.json").read_text())["pretrained_cfg"]
    del written[name]
    edit_json(tmp_path / "config.json", pretrained_cfg=written)
    with pytest.raises(UserError, match=f"config.json does not say {name} in pretrained_cfg"):
        load(settings_of("timm", tmp_path))


def test_an_architecture_that_timm_does_not_know(tmp_path):
    make_timm(tmp_path, "test_resnet")
    edit_json(tmp_path / "config.json", architecture="mobilevit_xxxs")
    with pytest.raises(UserError, match=r"timm 1\S+ makes no network of config.json .*mobilevit_xxxs"):
        load(settings_of("timm", tmp_path))


def test_another_architecture_than_the_weights(tmp_path):
    make_timm(tmp_path, "test_resnet")
    edit_json(tmp_path / "config.json", architecture="test_vit", model_args=None)
    with pytest.raises(UserError, match=r"fits only 0\.00% .*It has what this network has not: "):
        load(settings_of("timm", tmp_path))
