"""CLIP against open_clip itself."""

from __future__ import annotations

import pytest
import torch

from tests.backbones.checkpoints import CLIP_CONFIG, clips, edit_json, make_clip, settings_of
from tests.backbones.directly import open_clip_frames
from vidkd.backbones.clip import load
from vidkd.backbones.registry import load_backbone
from vidkd.errors import UserError

# isort: split

import open_clip


def test_features_are_open_clips(made):
    folder, _ = made("clip")
    clip = clips(2, 8)
    wanted_ND = open_clip_frames(folder, clip)
    found_BTSD = load_backbone(settings_of("clip", folder))(clip)
    torch.testing.assert_close(found_BTSD, wanted_ND.reshape(2, 8, 1, 24), rtol=0, atol=1e-5)
    assert found_BTSD.std() > 0.1


def test_texts_are_open_clips(made):
    folder, network = made("clip")
    texts = ["a red square moving left", "a circle"]
    token_NL = open_clip.get_tokenizer(f"local-dir:{folder}")(texts)
    assert token_NL.shape == (2, CLIP_CONFIG["text_cfg"]["context_length"])
    with torch.no_grad():
        wanted_ND = network.encode_text(token_NL)
    found_ND = load(settings_of("clip", folder)).encode_texts(texts)
    torch.testing.assert_close(found_ND, wanted_ND, rtol=0, atol=1e-5)
    assert (found_ND[0] - found_ND[1]).norm() > 0.1


def test_any_number_of_frames(made):
    backbone = load_backbone(settings_of("clip", made("clip").folder, frames=3))
    assert backbone(clips(1, 3)).shape == (1, 3, 1, 24)


def test_old_files_with_other_shapes_of_the_scalars(tmp_path):
    from safetensors.torch import load_file, save_file

    network = make_clip(tmp_path)
    file = tmp_path / "open_clip_model.safetensors"
    weights = load_file(file)
    save_file(weights | {"logit_scale": weights["logit_scale"].reshape(1)}, file)
    assert load(settings_of("clip", tmp_path)).network.logit_scale == network.logit_scale


def test_a_pytorch_file_in_place_of_safetensors(tmp_path):
    network = make_clip(tmp_path)
    (tmp_path / "open_clip_model.safetensors").unlink()
    torch.save(network.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    clip = clips(1, 8)
    with torch.no_grad():
        wanted = network.encode_image(load(settings_of("clip", tmp_path)).normalise(clip[0]))
    torch.testing.assert_close(load(settings_of("clip", tmp_path))(clip)[0, :, 0], wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("left", [{"mean": [0.5, 0.5, 0.5]}, {"std": [0.5, 0.5, 0.5], "size": 32}, {}])
def test_missing_preprocessing_is_refused(tmp_path, left):
    make_clip(tmp_path)
    edit_json(tmp_path / "open_clip_config.json", preprocess_cfg=left)
    with pytest.raises(UserError, match=r"open_clip_config.json has no preprocess_cfg with mean and std"):
        load(settings_of("clip", tmp_path))


def test_a_configuration_that_open_clip_does_not_know(tmp_path):
    make_clip(tmp_path)
    edit_json(tmp_path / "open_clip_config.json", model_cfg=CLIP_CONFIG | {"vision_cfg": {"depth": 3}})
    with pytest.raises(UserError, match=r"open_clip 3\S+ makes no network of open_clip_config.json"):
        load(settings_of("clip", tmp_path))


def test_only_square_frames(tmp_path):
    make_clip(tmp_path)
    vision = CLIP_CONFIG["vision_cfg"] | {"image_size": [32, 40]}
    edit_json(tmp_path / "open_clip_config.json", model_cfg=CLIP_CONFIG | {"vision_cfg": vision})
    with pytest.raises(UserError, match="it takes 40x32 pixels; only square frames"):
        load(settings_of("clip", tmp_path))
