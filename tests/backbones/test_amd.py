"""Original VideoMAE and AMD checkpoints: the right function, and every known way to be wrong refused."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.backbones.checkpoints import clips
from tests.backbones.originals import WRAPPERS, classify, finetuned, norm, pretrained, run
from vidkd.backbones.amd import load_original
from vidkd.backbones.registry import load_backbone
from vidkd.backbones.source import find_source
from vidkd.config.backbones import BackboneSettings
from vidkd.errors import UserError

MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)
HTML = b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head></html>\n"


BESIDE = {"num_attention_heads": 2, "image_size": 32, "num_frames": 4}
PREPROCESSOR = {
    "size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}, "image_mean": [0.4, 0.5, 0.3],
    "image_std": [0.2, 0.3, 0.25],
}  # fmt: skip


def settings_of(path: Path, **more: object) -> BackboneSettings:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return BackboneSettings(kind="videomae", file=str(path), **{"sha256": sha256, **more})


def saved(path: Path, content: object) -> BackboneSettings:
    torch.save(content, path)
    return settings_of(path)


def logits(settings: BackboneSettings, clip_BTCHW: Tensor) -> Tensor:
    source = find_source(settings)
    with torch.no_grad():
        return load_original(source.weights(), settings, source).eval()(clip_BTCHW).logits


def in_folder(folder: Path, state: dict[str, Tensor], **beside: object) -> BackboneSettings:
    """An original file and, beside it, what it does not say; a value of None is left out."""
    torch.save({"module": state}, folder / "pytorch_model.bin")
    config = {name: value for name, value in (BESIDE | beside).items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return BackboneSettings(kind="videomae", folder=str(folder))


def small(frames: int = 16) -> tuple[Tensor, Tensor]:
    clip = clips(1, frames, size=224)
    return clip, (clip / 255 - MEAN) / STD


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("prefix", ["", "backbone.", "module."])
def test_wrapped_in_any_way_it_is_the_same_function(tmp_path, wrapper, prefix, caplog):
    state = finetuned(384, 1)
    named = {prefix + name: value for name, value in state.items()}
    settings = saved(tmp_path / "w.pth", WRAPPERS[wrapper](named))
    settings = settings.model_copy(update={"frames": 2})
    clip, normalised = small(2)
    with caplog.at_level(logging.INFO, "vidkd.engine.weights"):
        found_BTSD = load_backbone(settings)(clip)
    assert "covers 100.00% of" in caplog.text
    wanted_BND = run(state, 6, normalised)
    torch.testing.assert_close(found_BTSD.flatten(1, 2), wanted_BND, rtol=0, atol=1e-5)
    torch.testing.assert_close(logits(settings, normalised), classify(wanted_BND, state), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("width", "depth", "heads", "parameters"),
    [(384, 12, 6, 21_946_926), (768, 12, 12, 86_361_006)],
    ids=["ViT-S", "ViT-B"],
)
@pytest.mark.slow
def test_full_networks(tmp_path, width, depth, heads, parameters):
    """16 frames of 224 x 224 through the networks of the paper, with 174 classes as on SSv2."""
    state = finetuned(width, depth, classes=174)
    settings = saved(tmp_path / "w.pth", {"module": state})
    clip, normalised = small()
    backbone = load_backbone(settings)
    assert (backbone.spec.frames, backbone.spec.steps, backbone.spec.width) == (16, 8, width)
    assert backbone.network.config.num_attention_heads == heads
    wanted_BND = run(state, heads, normalised)
    torch.testing.assert_close(backbone(clip).flatten(1, 2), wanted_BND, rtol=0, atol=1e-5)
    wanted_BK = classify(wanted_BND, state)
    torch.testing.assert_close(logits(settings, normalised), wanted_BK, rtol=0, atol=1e-5)
    assert wanted_BK.std() > 0.1
    source = find_source(settings)
    model = load_original(source.weights(), settings, source)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize(("width", "heads"), [(768, 12), (1024, 16), (1280, 16)])
def test_heads_follow_from_the_width(tmp_path, width, heads):
    """The file does not say them: 64 wide in ViT-S, B and L, 80 in ViT-H."""
    state = finetuned(width, 1)
    settings = saved(tmp_path / "w.pth", state).model_copy(update={"frames": 2})
    clip, normalised = small(2)
    found_BTSD = load_backbone(settings)(clip)
    torch.testing.assert_close(found_BTSD.flatten(1, 2), run(state, heads, normalised), rtol=0, atol=1e-5)


def test_a_pretrained_checkpoint(tmp_path):
    """Its encoder ends with a norm; decoder, generators and projections are left out."""
    state = pretrained(384, 2)
    settings = saved(tmp_path / "w.pth", {"model": state}).model_copy(update={"frames": 2})
    clip, normalised = small(2)
    inner = {
        name.removeprefix("encoder."): value for name, value in state.items() if name.startswith("encoder.")
    }
    wanted_BND = norm(run(inner, 6, normalised), inner, "norm")
    torch.testing.assert_close(load_backbone(settings)(clip).flatten(1, 2), wanted_BND, rtol=0, atol=1e-5)


def test_the_command_line_that_trainers_save(tmp_path):
    content = {"model": finetuned(384, 1), "args": argparse.Namespace(lr=1e-3, data_path="/data"), "epoch": 3}
    assert load_backbone(saved(tmp_path / "w.pth", content)).spec.width == 384


def test_a_folder_with_nothing_but_the_file(tmp_path):
    torch.save(finetuned(384, 1), tmp_path / "pytorch_model.bin")
    backbone = load_backbone(BackboneSettings(kind="videomae", folder=str(tmp_path)))
    assert backbone.spec.width == 384


@pytest.mark.parametrize("heads", [1, 2, 8])
def test_what_lies_beside_a_file_in_a_folder_is_read(tmp_path, heads):
    state = finetuned(32, 2)
    backbone = load_backbone(in_folder(tmp_path, state, num_attention_heads=heads))
    spec = backbone.spec
    assert (spec.frames, spec.steps, spec.size, spec.crop) == (4, 2, 32, 0.8)
    mean, std = (torch.tensor(PREPROCESSOR[name]).view(3, 1, 1) for name in ("image_mean", "image_std"))
    clip = clips(1, 4)
    wanted_BND = run(state, heads, (clip / 255 - mean) / std)
    torch.testing.assert_close(backbone(clip).flatten(1, 2), wanted_BND, rtol=0, atol=1e-5)


def test_the_heads_beside_a_file_are_part_of_where_features_come_from(tmp_path):
    """The sum of the weights alone does not tell one network from the other."""
    sums = {
        load_backbone(in_folder(tmp_path, finetuned(32, 1), num_attention_heads=heads)).origin.config_sha256
        for heads in (1, 2)
    }
    assert len(sums) == 2


def test_what_lies_beside_a_file_that_is_named_by_itself_is_not(tmp_path):
    """It may belong to another network."""
    in_folder(tmp_path, finetuned(384, 1), num_attention_heads=2)
    backbone = load_backbone(settings_of(tmp_path / "pytorch_model.bin"))
    assert (backbone.spec.size, backbone.network.config.num_attention_heads) == (224, 6)
    assert backbone.origin.files == (tmp_path / "pytorch_model.bin",)


def test_eager_attention(tmp_path):
    settings = saved(tmp_path / "w.pth", finetuned(384, 1)).model_copy(update={"frames": 2})
    eager = load_backbone(settings.model_copy(update={"attention": "eager"}))
    assert eager.network.config._attn_implementation == "eager"
    clip, _ = small(2)
    torch.testing.assert_close(eager(clip), load_backbone(settings)(clip), rtol=0, atol=1e-5)


# ---- refused


NAMES = [
    "patch_embed.proj.bias", "blocks.1.attn.qkv.weight", "blocks.0.attn.v_bias", "blocks.1.mlp.fc2.weight",
    "blocks.0.norm2.bias", "fc_norm.weight", "head.bias",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_one_renamed_key(tmp_path, name):
    """Its name before and after: most are less than 1% of the network."""
    state = finetuned(384, 2)
    state[f"{name}_"] = state.pop(name)
    with pytest.raises(UserError, match=rf"fits only \d\d\.\d\d% .*: {name}\)\. .*has not: {name}_\."):
        load_backbone(saved(tmp_path / "w.pth", {"module": state}))


@pytest.mark.parametrize("name", NAMES)
def test_one_missing_key(tmp_path, name):
    state = finetuned(384, 2)
    del state[name]
    with pytest.raises(UserError, match=rf"fits only \d\d\.\d\d% .*\(missing .*: {name}\)"):
        load_backbone(saved(tmp_path / "w.pth", state))


@pytest.mark.parametrize("name", ["blocks.1.gamma_1", "pos_embed", "cls_token"])
def test_a_tensor_that_would_change_the_function(tmp_path, name):
    """Such as the layer scale or the learned positions of other members of the family."""
    state = finetuned(384, 2) | {name: torch.ones(384)}
    with pytest.raises(UserError, match=rf"would not be loaded whole.*has not: {name}\."):
        load_backbone(saved(tmp_path / "w.pth", state))


@pytest.mark.parametrize("name", ["blocks.1.attn.q_bias", "blocks.0.attn.v_bias"])
def test_a_zeroed_bias(tmp_path, name):
    state = finetuned(384, 2)
    state[name].zero_()
    with pytest.raises(UserError, match=f"{name} is all zeros, which no trained network has"):
        load_backbone(saved(tmp_path / "w.pth", {"module": state}))


def test_a_width_of_no_published_network(tmp_path):
    with pytest.raises(UserError, match="no published network is 192 wide; known: 384, 768"):
        load_backbone(saved(tmp_path / "w.pth", finetuned(192, 1)))


@pytest.mark.parametrize(
    ("width", "beside", "sentence"),
    [
        (32, {"num_attention_heads": None}, r"config\.json does not say num_attention_heads in whole"),
        (32, {"image_size": "32", "num_frames": 0}, r"config\.json does not say image_size, num_frames"),
        (32, {"num_attention_heads": 5}, "says 5 attention heads, by which its width of 32 does not divide"),
        (32, {"image_size": 64}, "its preprocessing gives 32 pixels, its network takes 64"),
        (32, {"num_frames": 3}, "3 frames do not divide into tubelets of 2"),
        (384, {"num_attention_heads": 16}, "its config says 16 attention heads of 24; the network of width"),
    ],
)
def test_what_lies_beside_it_and_cannot_be_right(tmp_path, width, beside, sentence):
    with pytest.raises(UserError, match=sentence):
        load_backbone(in_folder(tmp_path, finetuned(width, 1), **beside))


def test_a_small_network_says_what_has_to_lie_beside_it(tmp_path):
    torch.save(finetuned(64, 1), tmp_path / "pytorch_model.bin")
    sentence = (
        r"64 wide.*its preprocessor_config\.json, and a config\.json with num_attention_heads, image_size"
    )
    with pytest.raises(UserError, match=sentence):
        load_backbone(BackboneSettings(kind="videomae", folder=str(tmp_path)))


def test_a_file_without_its_patch_embedding(tmp_path):
    state = {name: value for name, value in finetuned(384, 1).items() if "patch_embed" not in name}
    with pytest.raises(UserError, match=r"patch_embed\.proj\.weight .* is missing: it is not an original"):
        load_backbone(saved(tmp_path / "w.pth", state))


@pytest.mark.parametrize("keep_sum", [True, False], ids=["sum of the page", "sum of the file"])
def test_a_web_page_saved_as_pth(tmp_path, keep_sum):
    """As Google Drive gives when its quota is exceeded."""
    path = tmp_path / "vit_s_ssv2.pth"
    path.write_bytes(HTML)
    settings = settings_of(path) if keep_sum else settings_of(path, sha256="0" * 64)
    with pytest.raises(UserError, match=r"vit_s_ssv2\.pth.*(web page|sha256)"):
        load_backbone(settings)


def test_a_truncated_file(tmp_path):
    path = tmp_path / "w.pth"
    torch.save(finetuned(384, 1), path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"w\.pth cannot be read as plain weights"):
        load_backbone(settings_of(path))


def test_another_file_than_meant(tmp_path):
    path = tmp_path / "w.pth"
    torch.save(finetuned(384, 1), path)
    with pytest.raises(UserError, match=rf"w\.pth: the weights' sha256 is \w+, the settings say {'0' * 64}"):
        load_backbone(settings_of(path, sha256="0" * 64))


def test_a_missing_file(tmp_path):
    path = tmp_path / "w.pth"
    settings = BackboneSettings(kind="videomae", file=str(path), sha256="0" * 64)
    with pytest.raises(UserError, match=r"w\.pth does not exist\. Place it there: its sha256 must be 0000"):
        load_backbone(settings)
    fetched = settings.model_copy(update={"url": "https://example.org/w.pth"})
    with pytest.raises(
        UserError, match=r"Run snakemake download_weights where there is network, or place it"
    ):
        load_backbone(fetched)
