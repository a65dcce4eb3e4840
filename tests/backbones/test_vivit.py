"""ViViT against transformers itself."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from tests.backbones.checkpoints import clips, settings_of
from tests.backbones.directly import tokens
from vidkd.backbones.vivit import load
from vidkd.errors import UserError


def test_features_are_transformers_tokens_without_cls(made):
    folder = made("vivit").folder
    clip = clips(2, 8)
    found_BTSD = load(settings_of("vivit", folder))(clip)
    wanted_BND = tokens(folder, "VivitModel", "VivitImageProcessor", clip)
    torch.testing.assert_close(found_BTSD, wanted_BND[:, 1:].reshape(2, 4, 16, 64), rtol=0, atol=1e-5)


def test_pixels_are_what_its_processor_makes(made):
    """value / 127.5 - 1, and then mean and standard deviation of 0.5: from -3 to 1."""
    backbone = load(settings_of("vivit", made("vivit").folder))
    ends = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1).expand(2, 3, 1, 1)
    torch.testing.assert_close(
        backbone.normalise(ends)[:, 0, 0, 0], torch.tensor([-3.0, 1.0]), rtol=0, atol=1e-5
    )


def test_the_file_has_the_hubs_names(made):
    """They are not the network's of today: transformers translates them."""
    names = load_file(made("vivit").folder / "model.safetensors")
    assert "vivit.encoder.layer.0.attention.attention.query.weight" in names
    backbone = load(settings_of("vivit", made("vivit").folder))
    assert "layers.0.attention.q_proj.weight" in backbone.network.state_dict()


def test_no_other_number_of_frames(made):
    with pytest.raises(UserError, match="frames is 32, but its learned positions in time are those of 8"):
        load(settings_of("vivit", made("vivit").folder, frames=32))
