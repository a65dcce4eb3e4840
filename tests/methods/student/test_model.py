"""Shapes of the seeds' walk-through, pooling against other ways to work it out, and one normalisation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which both import

# isort: split

import open_clip
import timm

from tests.backbones.checkpoints import MEAN, SIZE, STD, clips, make_timm, scramble, settings_of
from vidkd.backbones.clip import CLIP
from vidkd.backbones.pretrain.trainable import NOWHERE
from vidkd.backbones.protocol import BackboneSpec
from vidkd.data.clips import Batch
from vidkd.errors import UserError
from vidkd.methods.student.encoder import build_encoder, new_encoder, pretrained_encoder
from vidkd.methods.student.method import OnlineTeacher
from vidkd.methods.student.model import POOLS, Student
from vidkd.methods.student.settings import StudentSettings
from vidkd.methods.teacher_model import TeacherHead

D = 24


def student(pooling="attention", frames=4, **more):
    torch.manual_seed(0)
    settings = StudentSettings(pooling=pooling, frames=frames, size=SIZE, width=D, **more)
    return Student(new_encoder("mobilevit_xxs"), 5, settings).eval()


@pytest.mark.slow
def test_the_walk_through_of_the_seeds_has_its_shapes():
    """(8, 8, 3, 224, 224) through ViT-B/32 and MobileViT-XXS: logits (8, 12), features (8, 512)."""
    clip_BTCHW = clips(8, 8, 224)
    network = open_clip.model.CLIP(**open_clip.get_model_config("ViT-B-32"))
    assert sum(value.numel() for value in network.parameters()) == 151_277_313
    spec = BackboneSpec("clip", 8, 224, 1.0, tuple(MEAN), tuple(STD), 512, 8, "1 frame")
    head = TeacherHead(512, 12, "probe", texts=True)
    teacher = OnlineTeacher(CLIP(spec, network, NOWHERE), head, torch.device("cpu"))
    taught = teacher(Batch({8: clip_BTCHW}, torch.zeros(8), torch.arange(8)))
    assert [tuple(part.shape) for part in taught] == [(8, 12), (8, 512), (8, 8, 512)]
    encoder = new_encoder("mobilevit_xxs")
    assert sum(value.numel() for value in encoder.parameters()) == 951_024
    assert encoder.width == 320
    with torch.inference_mode():
        seen = Student(encoder, 12, StudentSettings()).eval()(clip_BTCHW)
    assert [tuple(part.shape) for part in seen] == [(8, 12), (8, 512), (8, 8, 512), (8, 8)]
    torch.testing.assert_close(seen.attention.sum(1), torch.ones(8))


def test_pixels_are_normalised_once_by_the_networks_own_statistics(tmp_path):
    network = make_timm(tmp_path / "timm")
    encoder = pretrained_encoder(settings_of("timm", tmp_path / "timm")).eval()
    pixels_NCHW = clips(1, 3)[0]
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in ((0.1, 0.0, 0.2), (1.0, 0.9, 1.0)))
    network.reset_classifier(0)
    with torch.inference_mode():
        wanted_NE = network((pixels_NCHW / 255 - mean) / std)
        torch.testing.assert_close(encoder(pixels_NCHW), wanted_NE, rtol=1e-4, atol=1e-5)
    with pytest.raises(TypeError, match="only uint8 is normalised, and only once"):
        encoder((pixels_NCHW / 255 - mean) / std)


def test_a_new_network_has_timms_preprocessing():
    spec = new_encoder("mobilevit_xxs").spec
    wanted = timm.get_pretrained_cfg("mobilevit_xxs")
    assert (spec.size, spec.mean, spec.std) == (256, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert (spec.size, spec.mean, spec.std) == (wanted.input_size[1], wanted.mean, wanted.std)


def test_a_started_network_is_built_again_from_what_is_said_of_it(tmp_path):
    make_timm(tmp_path / "timm")
    encoder = pretrained_encoder(settings_of("timm", tmp_path / "timm")).eval()
    again = build_encoder(encoder.spec).eval()
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again(clips(1, 2)[0]), encoder(clips(1, 2)[0]))


def test_an_unknown_network_is_named():
    with pytest.raises(UserError, match=r"makes no network 'mobilevit_xxx'.*did you mean mobilevit_x"):
        new_encoder("mobilevit_xxx")


def features(model, clip):
    """Projected features of the frames, with their positions."""
    frame_BTD = model.projection(model.encoder(clip.flatten(0, 1)).unflatten(0, clip.shape[:2]))
    return frame_BTD if model.position is None else frame_BTD + model.position


def attended(own, frame_BTD):
    """What torch's own attention gives with the weights of ClsPooling."""
    attention = nn.MultiheadAttention(D, 4, batch_first=True)
    parts = (own.to_query, own.to_key, own.to_value)
    attention.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
    biases = [torch.zeros(D) if part.bias is None else part.bias for part in parts]
    attention.in_proj_bias.copy_(torch.cat(biases))
    attention.out_proj.load_state_dict(own.out.state_dict())
    normed = own.norm(frame_BTD)
    out, weights = attention(own.query.expand(2, 1, -1), normed, normed)
    return own.query + out[:, 0], weights[:, 0]


def summed(own, frame_BTD):
    """Frame by frame: a score of each, or none, and the weighted sum."""
    scores = [
        [own.score(frame).item() if hasattr(own, "score") else 0.0 for frame in frames]
        for frames in frame_BTD
    ]
    weight_BT = torch.tensor(np.exp(scores) / np.exp(scores).sum(1, keepdims=True)).float()
    clips_BD = [sum(w * f for w, f in zip(weights, frames, strict=True)) for weights, frames in
                zip(weight_BT, frame_BTD, strict=True)]  # fmt: skip
    return torch.stack(clips_BD), weight_BT


@pytest.mark.parametrize("pooling", POOLS)
@pytest.mark.parametrize("positions", [False, True])
@torch.inference_mode()
def test_pooling_is_what_a_loop_over_frames_gives(pooling, positions):
    model, clip = student(pooling, positions=positions), clips(2, 4)
    seen, frame_BTD = model(clip), features(model, clip)
    wanted_BD, weight_BT = (attended if pooling == "cls" else summed)(model.pooling, frame_BTD)
    torch.testing.assert_close(seen.attention, weight_BT, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(seen.features, wanted_BD, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(seen.logits, model.classifier(wanted_BD), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLS)
@torch.inference_mode()
def test_order_is_seen_with_positions_only(pooling):
    clip = clips(2, 4)
    plain = student(pooling)
    torch.testing.assert_close(plain(clip).logits, plain(clip.flip(1)).logits, rtol=1e-4, atol=1e-5)
    placed = student(pooling, positions=True)
    placed.position.mul_(50)
    same = torch.allclose(placed(clip).logits, placed(clip.flip(1)).logits, rtol=1e-3, atol=1e-4)
    assert same == (pooling == "mean")  # a mean of positions is the same in any order


@pytest.mark.parametrize("pooling", POOLS)
@torch.inference_mode()
def test_one_frame_has_all_the_weight_and_a_clip_does_not_depend_on_others(pooling):
    one = student(pooling, frames=1, positions=True)(clips(3, 1))
    assert torch.equal(one.attention, torch.ones(3, 1))
    model, clip = student(pooling), clips(3, 4)
    torch.testing.assert_close(model(clip[:1]).logits, model(clip).logits[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLS)
def test_every_parameter_has_a_gradient(pooling):
    # timm begins with residual branches of weight zero, behind which there is no gradient yet.
    model = scramble(student(pooling, positions=True)).train()
    seen = model(clips(2, 4))
    (seen.logits.square().sum() + seen.features.square().sum()).backward()
    without = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == []


def test_without_a_projection_features_are_the_encoders():
    assert student(projection=False).classifier.in_features == 320


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(UserError, match=r"heads 5 do not divide a width of 24"):
        student("cls", heads=5)
