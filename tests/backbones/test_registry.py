"""What holds for every kind of backbone; a new one is picked up, and fails until it has a checkpoint."""

from __future__ import annotations

import hashlib
import logging
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.backbones.checkpoints import MAKERS, SIZE, clips, settings_of
from vidkd.backbones.protocol import pool
from vidkd.backbones.registry import BACKBONES, load_backbone
from vidkd.config.backbones import Kind
from vidkd.errors import UserError


@pytest.fixture
def backbone(kind, made):
    return load_backbone(settings_of(kind, made(kind).folder))


def test_kinds_are_those_that_settings_allow():
    assert set(BACKBONES) == set(get_args(Kind)) == set(MAKERS)


def test_tokens_are_by_time_step_as_the_spec_says(backbone, kind):
    spec = backbone.spec
    token_BTSD = backbone(clips(2, spec.frames))
    assert token_BTSD.shape[:2] == (2, spec.steps)
    assert token_BTSD.shape[3] == spec.width
    assert token_BTSD.dtype == torch.float32
    assert torch.isfinite(token_BTSD).all()
    assert (spec.kind, spec.size) == (kind, SIZE)
    assert spec.step_meaning == ("1 frame" if spec.steps == spec.frames else "2 frames")


def test_a_step_sees_its_own_frames_most(backbone):
    """Changing the last frames changes the last step more than the first: time steps are in order."""
    clip = clips(1, backbone.spec.frames)
    changed = clip.clone()
    per_step = backbone.spec.frames // backbone.spec.steps
    changed[:, -per_step:] = 255 - changed[:, -per_step:]
    by_step = (backbone(clip) - backbone(changed)).flatten(2).norm(dim=2)[0]
    assert by_step.argmax() == backbone.spec.steps - 1
    assert by_step[-1] > 1.2 * by_step[:-1].max()


def test_a_row_is_the_same_alone_and_in_a_batch(backbone):
    batch = clips(5, backbone.spec.frames)
    together = backbone(batch)
    for row in range(5):
        torch.testing.assert_close(backbone(batch[row : row + 1])[0], together[row], rtol=0, atol=1e-5)


def test_it_is_frozen_and_stays_in_evaluation_mode(backbone):
    outer = nn.Sequential(backbone).train()
    assert not any(module.training for module in outer[0].modules())
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    clip = clips(1, backbone.spec.frames)
    assert not backbone(clip).requires_grad
    assert torch.equal(backbone(clip), backbone(clip))


def test_pixels_are_normalised_once(backbone):
    clip = clips(1, backbone.spec.frames)
    with pytest.raises(TypeError, match="only uint8 is normalised, and only once"):
        backbone(clip.float())


@pytest.mark.parametrize("wrong", [(0, 0), (-1, 0), (1, 0), (0, 16)], ids=["ndim", "short", "long", "size"])
def test_clips_of_another_shape_are_refused(backbone, wrong):
    """A short video is padded in the frame store, and flagged there; nothing is padded here."""
    frames, size = backbone.spec.frames + wrong[0], SIZE + wrong[1]
    clip = clips(1, frames, size)
    with pytest.raises(ValueError, match=rf"takes clips of \({backbone.spec.frames}, 3, 32, 32\)"):
        backbone(clip[0] if wrong == (0, 0) else clip)


def test_a_padded_clip_is_a_clip(backbone):
    """Frames repeated by the store are frames: the same result as for a video that stands still."""
    still = clips(1, 1).expand(1, backbone.spec.frames, 3, SIZE, SIZE)
    assert torch.isfinite(backbone(still)).all()


def test_pooling(backbone):
    token_BTSD = backbone(clips(2, backbone.spec.frames))
    b, t, s, d = token_BTSD.shape
    assert torch.equal(pool(token_BTSD, "full"), token_BTSD.reshape(b, t * s, d))
    assert torch.equal(pool(token_BTSD, "time"), token_BTSD.mean(2))
    torch.testing.assert_close(pool(token_BTSD, "clip"), token_BTSD.mean((1, 2))[:, None])
    assert [pool(token_BTSD, kept).shape for kept in ("full", "time", "clip")] == [
        (b, t * s, d), (b, t, d), (b, 1, d),
    ]  # fmt: skip


def test_the_sum_of_the_weights_is_known_and_checked(kind, made):
    folder = made(kind).folder
    (file,) = folder.glob("*.safetensors")
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert load_backbone(settings_of(kind, folder, sha256=sha256)).weights_sha256 == sha256
    with pytest.raises(UserError, match=f"sha256 is {sha256}, the settings say {'0' * 64}"):
        load_backbone(settings_of(kind, folder, sha256="0" * 64))


def test_the_files_that_were_read_are_known_weights_first(kind, made):
    folder = made(kind).folder
    first, *configs = load_backbone(settings_of(kind, folder)).origin.files
    assert first.suffix == ".safetensors"
    assert {first, *configs} == set(folder.iterdir())
    assert len(configs) == len(set(configs)) == len(list(folder.iterdir())) - 1


def test_every_load_reports_its_coverage(kind, made, caplog):
    """And nothing of the libraries' own, such as open_clip's that its network starts at random."""
    with caplog.at_level(logging.INFO, "vidkd.engine.weights"):
        load_backbone(settings_of(kind, made(kind).folder))
    assert "covers 100.00% of" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_checkpoint_in_half_precision_becomes_float32(kind, made, copied):
    folder = copied(kind)
    (file,) = folder.glob("*.safetensors")
    half = {
        name: value.half() if value.is_floating_point() else value for name, value in load_file(file).items()
    }
    save_file(half, file, metadata={"format": "pt"})
    backbone = load_backbone(settings_of(kind, folder))
    assert {value.dtype for value in backbone.parameters()} == {torch.float32}
    clip = clips(1, backbone.spec.frames)
    whole = load_backbone(settings_of(kind, made(kind).folder))(clip)
    torch.testing.assert_close(backbone(clip), whole, rtol=0.05, atol=0.05)
