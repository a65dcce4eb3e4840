"""TimeSformer against transformers itself."""

from __future__ import annotations

import pytest
import torch

from tests.backbones.checkpoints import clips, settings_of
from tests.backbones.directly import tokens
from vidkd.backbones.timesformer import load
from vidkd.errors import UserError


def test_features_are_transformers_tokens_without_cls(made):
    folder = made("timesformer").folder
    clip = clips(2, 4)
    found_BTSD = load(settings_of("timesformer", folder))(clip)
    wanted_BND = tokens(folder, "TimesformerModel", "VideoMAEImageProcessor", clip)
    assert found_BTSD.shape == (2, 4, 16, 64)
    for step in range(4):
        for patch in (0, 7, 15):
            token = wanted_BND[:, 1 + patch * 4 + step]  # frames of a patch are neighbours
            torch.testing.assert_close(found_BTSD[:, step, patch], token, rtol=0, atol=1e-5)


def test_steps_are_frames(made):
    """In one layer without attention in time, a frame's tokens depend on that frame alone."""
    backbone = load(settings_of("timesformer", made("timesformer").folder))
    layers = backbone.network.encoder.layer
    del layers[1:]
    layers[0].temporal_dense.weight.zero_()
    clip = clips(1, 4)
    changed = clip.clone()
    changed[:, 2] = 255 - changed[:, 2]
    moved = (backbone(clip) - backbone(changed)).abs().amax((0, 2, 3))
    assert moved[2] > 0.1
    assert moved[[0, 1, 3]].max() < 1e-6


def test_no_other_number_of_frames(made):
    with pytest.raises(UserError, match="frames is 8, but its learned positions in time are those of 4"):
        load(settings_of("timesformer", made("timesformer").folder, frames=8))
    assert load(settings_of("timesformer", made("timesformer").folder, frames=4)).spec.frames == 4
