"""The networks of transformers against transformers itself."""

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
from tests.backbones.directly import tokens, vjepa2_tokens
from vidkd.backbones.registry import load_backbone
from vidkd.errors import UserError

# isort: split

import transformers


def load(kind, folder, **more):
    return load_backbone(settings_of(kind, folder, **more))


@pytest.mark.parametrize(
    ("kind", "frames"), [("timesformer", 8), ("vivit", 32)], ids=["timesformer", "vivit"]
)
def test_learned_positions_take_no_other_number_of_frames(made, kind, frames):
    folder = made(kind).folder
    own = load(kind, folder).spec.frames
    with pytest.raises(
        UserError, match=f"frames is {frames}, but its learned positions in time are those of {own}"
    ):
        load(kind, folder, frames=frames)
    assert load(kind, folder, frames=own).spec.frames == own


@pytest.mark.parametrize(("kind", "frames"), [("videomae", 7), ("vjepa2", 9)])
def test_frames_that_do_not_divide_into_tubelets(made, kind, frames):
    with pytest.raises(UserError, match=f"{frames} frames do not divide into tubelets of 2"):
        load(kind, made(kind).folder, frames=frames)


# ---- VideoMAE


@pytest.mark.parametrize("mean_pooling", [True, False])
def test_features_of_videomae(tmp_path, mean_pooling):
    """Whatever use_mean_pooling says, a feature is the tokens of its time step, never the first patch."""
    make_videomae(tmp_path, mean_pooling)
    clip = clips(2, 8)
    found_BTSD = load("videomae", tmp_path)(clip)
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
    backbone = load("videomae", tmp_path)
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
    wanted = load("videomae", tmp_path)(clip)
    file = tmp_path / "model.safetensors"
    renamed = {
        name.replace("query.bias", "q_bias").replace("value.bias", "v_bias"): value
        for name, value in load_file(file).items()
    }
    assert any(name.endswith("attention.attention.q_bias") for name in renamed)
    save_file(renamed, file, metadata={"format": "pt"})
    assert torch.equal(load("videomae", tmp_path)(clip), wanted)


@pytest.mark.parametrize("frames", [2, 16])
def test_another_number_of_frames(made, frames):
    """Positions are fixed, so that those of shorter clips are the first ones of longer clips."""
    backbone = load("videomae", made("videomae").folder, frames=frames)
    assert backbone(clips(1, frames)).shape == (1, frames // 2, 16, 64)
    table = backbone.network.embeddings.position_embeddings
    own = load("videomae", made("videomae").folder).network.embeddings.position_embeddings
    shared = min(table.shape[1], own.shape[1])
    assert torch.equal(table[:, :shared], own[:, :shared])


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
        load("videomae", tmp_path)
    edit_json(tmp_path / "config.json", num_attention_heads=6)
    assert load("videomae", tmp_path).spec.width == 384


def test_eager_attention_gives_its_maps(made):
    folder = made("videomae").folder
    clip = clips(1, 8)
    sdpa = load("videomae", folder)
    eager = load("videomae", folder, attention="eager")
    assert sdpa.network.config._attn_implementation == "sdpa"
    torch.testing.assert_close(eager(clip), sdpa(clip), rtol=0, atol=1e-5)
    with torch.no_grad():
        maps = eager.network(eager.normalise(clip), output_attentions=True).attentions
    assert [tuple(layer.shape) for layer in maps] == [(1, 2, 64, 64)] * 2


def test_the_configuration_of_another_kind(made):
    with pytest.raises(UserError, match=r"config.json is of the kind vivit, not videomae: set kind"):
        load("videomae", made("vivit").folder)


# ---- TimeSformer


def test_features_of_timesformer_are_without_cls(made):
    folder = made("timesformer").folder
    clip = clips(2, 4)
    found_BTSD = load("timesformer", folder)(clip)
    wanted_BND = tokens(folder, "TimesformerModel", "VideoMAEImageProcessor", clip)
    assert found_BTSD.shape == (2, 4, 16, 64)
    for step in range(4):
        for patch in (0, 7, 15):
            token = wanted_BND[:, 1 + patch * 4 + step]  # frames of a patch are neighbours
            torch.testing.assert_close(found_BTSD[:, step, patch], token, rtol=0, atol=1e-5)


def test_steps_of_timesformer_are_frames(made):
    """In one layer without attention in time, a frame's tokens depend on that frame alone."""
    backbone = load("timesformer", made("timesformer").folder)
    layers = backbone.network.encoder.layer
    del layers[1:]
    layers[0].temporal_dense.weight.zero_()
    clip = clips(1, 4)
    changed = clip.clone()
    changed[:, 2] = 255 - changed[:, 2]
    moved = (backbone(clip) - backbone(changed)).abs().amax((0, 2, 3))
    assert moved[2] > 0.1
    assert moved[[0, 1, 3]].max() < 1e-6


# ---- ViViT


def test_features_of_vivit_are_without_cls(made):
    folder = made("vivit").folder
    clip = clips(2, 8)
    found_BTSD = load("vivit", folder)(clip)
    wanted_BND = tokens(folder, "VivitModel", "VivitImageProcessor", clip)
    torch.testing.assert_close(found_BTSD, wanted_BND[:, 1:].reshape(2, 4, 16, 64), rtol=0, atol=1e-5)


def test_pixels_are_what_its_processor_makes(made):
    """value / 127.5 - 1, and then mean and standard deviation of 0.5: from -3 to 1."""
    backbone = load("vivit", made("vivit").folder)
    ends = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1).expand(2, 3, 1, 1)
    torch.testing.assert_close(
        backbone.normalise(ends)[:, 0, 0, 0], torch.tensor([-3.0, 1.0]), rtol=0, atol=1e-5
    )


def test_the_file_has_the_hubs_names(made):
    """They are not the network's of today: transformers translates them."""
    names = load_file(made("vivit").folder / "model.safetensors")
    assert "vivit.encoder.layer.0.attention.attention.query.weight" in names
    backbone = load("vivit", made("vivit").folder)
    assert "layers.0.attention.q_proj.weight" in backbone.network.state_dict()


# ---- V-JEPA 2


@pytest.mark.parametrize("frames", [8, 4])
def test_features_of_vjepa2(made, frames):
    folder = made("vjepa2").folder
    clip = clips(2, frames)
    backbone = load("vjepa2", folder, frames=frames)
    wanted_BND = vjepa2_tokens(folder, clip)
    torch.testing.assert_close(backbone(clip), wanted_BND.reshape(2, frames // 2, 16, 48), rtol=0, atol=1e-5)


def test_the_crop_is_the_processors(made):
    """Its processor resizes to 256 / 224 of what it crops."""
    assert load("vjepa2", made("vjepa2").folder).spec.crop == 32 / 36


def test_the_predictor_is_neither_needed_nor_kept(made, tmp_path):
    folder = made("vjepa2").folder
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    kept = {
        name: value
        for name, value in load_file(folder / "model.safetensors").items()
        if not name.startswith("predictor.")
    }
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    backbone = load("vjepa2", tmp_path)
    clip = clips(1, 8)
    assert torch.equal(backbone(clip), load("vjepa2", folder)(clip))
    assert not any("predictor" in name for name in backbone.state_dict())


def test_a_fine_tuned_checkpoint(tmp_path):
    """As those of Something-Something v2 on the hub: the encoder under another prefix, a pooler, a head."""
    config = transformers.VJEPA2Config(
        crop_size=SIZE, patch_size=8, frames_per_clip=8, hidden_size=48, num_attention_heads=2,
        num_hidden_layers=2, mlp_ratio=2.0, pred_hidden_size=24, pred_num_attention_heads=2,
        pred_num_hidden_layers=1, num_pooler_layers=1, num_labels=5,
    )  # fmt: skip
    processor = transformers.VJEPA2VideoProcessor(crop_size={"height": SIZE, "width": SIZE})
    save_video(transformers.VJEPA2ForVideoClassification(config), processor, tmp_path)
    names = load_file(tmp_path / "model.safetensors")
    assert {name.split(".")[0] for name in names} == {"vjepa2", "pooler", "classifier"}
    clip = clips(1, 8)
    wanted_BND = vjepa2_tokens(tmp_path, clip)
    found_BTSD = load("vjepa2", tmp_path)(clip)
    torch.testing.assert_close(found_BTSD, wanted_BND.reshape(1, 4, 16, 48), rtol=0, atol=1e-5)
