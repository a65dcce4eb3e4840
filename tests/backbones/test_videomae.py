"""VideoMAE in transformers' format against transformers itself."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.backbones.checkpoints import (
    CROP,
    MEAN,
    SIZE,
    STD,
    VIDEO,
    clips,
    edit_json,
    make_videomae,
    save_video,
    settings_of,
)
from tests.backbones.directly import tokens
from vidkd.backbones.videomae import load
from vidkd.errors import UserError

# isort: split

import transformers


@pytest.mark.parametrize("mean_pooling", [True, False])
def test_features_are_transformers_tokens(tmp_path, mean_pooling):
    """Whatever use_mean_pooling says, a feature is the tokens of its time step, never the first patch."""
    make_videomae(tmp_path, mean_pooling)
    clip = clips(2, 8)
    found_BTSD = load(settings_of("videomae", tmp_path))(clip)
    wanted_BND = tokens(tmp_path, "VideoMAEModel", "VideoMAEImageProcessor", clip)
    torch.testing.assert_close(found_BTSD, wanted_BND.reshape(2, 4, 16, 64), rtol=0, atol=1e-5)


def test_a_pretrained_checkpoint_with_its_decoder(tmp_path):
    """As videomae-base on the hub: its mean pooling is off, and its encoder has a last norm."""
    config = transformers.VideoMAEConfig(
        image_size=SIZE, patch_size=8, num_frames=8, use_mean_pooling=False, decoder_hidden_size=32,
        decoder_num_attention_heads=2, decoder_num_hidden_layers=1, decoder_intermediate_size=32, **VIDEO,
    )  # fmt: skip
    processor = transformers.VideoMAEImageProcessor(**CROP, image_mean=MEAN, image_std=STD)
    network = save_video(transformers.VideoMAEForPreTraining(config), processor, tmp_path)
    backbone = load(settings_of("videomae", tmp_path))
    clip = clips(1, 8)
    with torch.no_grad():
        wanted_BND = network.videomae(backbone.normalise(clip)).last_hidden_state
    torch.testing.assert_close(backbone(clip), wanted_BND.reshape(1, 4, 16, 64), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        network.videomae.layernorm.weight, backbone.network.layernorm.weight, rtol=0, atol=0
    )


def test_names_of_older_releases(tmp_path):
    """Files written by transformers 4 name the biases q_bias and v_bias."""
    make_videomae(tmp_path)
    clip = clips(1, 8)
    wanted = load(settings_of("videomae", tmp_path))(clip)
    file = tmp_path / "model.safetensors"
    renamed = {
        name.replace("query.bias", "q_bias").replace("value.bias", "v_bias"): value
        for name, value in load_file(file).items()
    }
    assert any(name.endswith("attention.attention.q_bias") for name in renamed)
    save_file(renamed, file, metadata={"format": "pt"})
    assert torch.equal(load(settings_of("videomae", tmp_path))(clip), wanted)


@pytest.mark.parametrize("frames", [2, 16])
def test_another_number_of_frames(made, frames):
    """Positions are fixed, so that those of shorter clips are the first ones of longer clips."""
    backbone = load(settings_of("videomae", made("videomae").folder, frames=frames))
    assert backbone(clips(1, frames)).shape == (1, frames // 2, 16, 64)
    table = backbone.network.embeddings.position_embeddings
    own = load(settings_of("videomae", made("videomae").folder)).network.embeddings.position_embeddings
    shared = min(table.shape[1], own.shape[1])
    assert torch.equal(table[:, :shared], own[:, :shared])


def test_frames_that_do_not_divide_into_tubelets(made):
    with pytest.raises(UserError, match="7 frames do not divide into tubelets of 2"):
        load(settings_of("videomae", made("videomae").folder, frames=7))


def test_sixteen_heads_are_refused(tmp_path):
    """Converted ViT-S checkpoints on the hub say 16 heads; the network has 6."""
    config = transformers.VideoMAEConfig(
        image_size=SIZE, num_frames=4, hidden_size=384, num_hidden_layers=1, num_attention_heads=16,
        intermediate_size=32,
    )  # fmt: skip
    processor = transformers.VideoMAEImageProcessor(**CROP)
    save_video(transformers.VideoMAEModel(config), processor, tmp_path)
    with pytest.raises(
        UserError, match="says 16 attention heads of 24; the network of width 384 has 6 of 64"
    ):
        load(settings_of("videomae", tmp_path))
    edit_json(tmp_path / "config.json", num_attention_heads=6)
    assert load(settings_of("videomae", tmp_path)).spec.width == 384


def test_eager_attention_gives_its_maps(made):
    folder = made("videomae").folder
    clip = clips(1, 8)
    sdpa = load(settings_of("videomae", folder))
    eager = load(settings_of("videomae", folder, attention="eager"))
    assert sdpa.network.config._attn_implementation == "sdpa"
    torch.testing.assert_close(eager(clip), sdpa(clip), rtol=0, atol=1e-5)
    with torch.no_grad():
        maps = eager.network(eager.normalise(clip), output_attentions=True).attentions
    assert [tuple(layer.shape) for layer in maps] == [(1, 2, 64, 64)] * 2


def test_the_configuration_of_another_kind(made):
    with pytest.raises(UserError, match=r"config.json is of the kind vivit, not videomae: set kind"):
        load(settings_of("videomae", made("vivit").folder))
