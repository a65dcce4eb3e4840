"""V-JEPA 2 against transformers itself."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.backbones.checkpoints import SIZE, clips, save_video, settings_of
from vidkd.backbones.vjepa2 import load
from vidkd.errors import UserError


@pytest.mark.parametrize("frames", [8, 4])
def test_features_are_transformers_tokens(made, frames):
    folder = made("vjepa2").folder
    clip = clips(2, frames)
    backbone = load(settings_of("vjepa2", folder, frames=frames))
    wanted_BND = directly(folder, clip)
    torch.testing.assert_close(backbone(clip), wanted_BND.reshape(2, frames // 2, 16, 48), rtol=0, atol=1e-5)


def directly(folder, clip_BTCHW):
    """Frames at the crop's size, so that the processor's own resizing and cropping are left out."""
    import transformers

    processor = transformers.VJEPA2VideoProcessor.from_pretrained(folder)
    pixels = processor(videos=list(clip_BTCHW), do_resize=False, return_tensors="pt")["pixel_values_videos"]
    network = transformers.VJEPA2Model.from_pretrained(folder).eval()
    with torch.no_grad():
        return network(pixels, skip_predictor=True).last_hidden_state


def test_the_crop_is_the_processors(made):
    """Its processor resizes to 256 / 224 of what it crops."""
    assert load(settings_of("vjepa2", made("vjepa2").folder)).spec.crop == 32 / 36


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
    backbone = load(settings_of("vjepa2", tmp_path))
    clip = clips(1, 8)
    assert torch.equal(backbone(clip), load(settings_of("vjepa2", folder))(clip))
    assert not any("predictor" in name for name in backbone.state_dict())


def test_frames_that_do_not_divide_into_tubelets(made):
    with pytest.raises(UserError, match="9 frames do not divide into tubelets of 2"):
        load(settings_of("vjepa2", made("vjepa2").folder, frames=9))


def test_a_fine_tuned_checkpoint(tmp_path):
    """As those of Something-Something v2 on the hub: the encoder under another prefix, a pooler, a head."""
    import transformers

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
    wanted_BND = directly(tmp_path, clip)
    found_BTSD = load(settings_of("vjepa2", tmp_path))(clip)
    torch.testing.assert_close(found_BTSD, wanted_BND.reshape(1, 4, 16, 48), rtol=0, atol=1e-5)
