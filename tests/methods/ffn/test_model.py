from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import vidkd.torchvision_ops  # noqa: F401
from vidkd.errors import UserError
from vidkd.methods.ffn.model import (
    PerCount,
    TemporalShift,
    TSMResNet,
    WeightAlteration,
    build_model,
)
from vidkd.methods.ffn.settings import FFNSettings, nearest_count
from vidkd.methods.ffn.start import start_from

from torchvision import models  # isort: skip


def clips(batch: int, frames: int, size: int = 32, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, frames, 3, size, size), dtype=torch.uint8, generator=generator)


def plain(arch: str, **changes) -> FFNSettings:
    return FFNSettings(arch=arch, frame_counts=(16,), weight_alteration=False, dropout=0, **changes)


def test_shift_is_the_papers():
    x = np.random.default_rng(0).normal(size=(2, 5, 8, 3, 3)).astype(np.float32)
    fold = 2
    expected = np.zeros_like(x)
    for t in range(5):
        if t + 1 < 5:
            expected[:, t, :fold] = x[:, t + 1, :fold]
        if t > 0:
            expected[:, t, fold : 2 * fold] = x[:, t - 1, fold : 2 * fold]
        expected[:, t, 2 * fold :] = x[:, t, 2 * fold :]
    out = TemporalShift.apply(torch.from_numpy(x).flatten(0, 1), 5, fold)
    np.testing.assert_array_equal(out.unflatten(0, (2, 5)).numpy(), expected)


def test_shift_gradient_is_its_transpose():
    x = torch.randn(6, 8, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: TemporalShift.apply(x, 3, 2), (x,))


@pytest.mark.parametrize(("count", "path"), [(1, 4), (5, 4), (6, 8), (7, 8), (12, 16), (13, 16), (40, 16)])
def test_any_count_is_served_by_the_nearest_and_ties_go_up(count, path):
    assert nearest_count((4, 8, 16), count) == path


def test_parameter_counts_are_the_papers():
    def size(settings):
        return sum(p.numel() for p in TSMResNet(settings, 174).parameters())

    assert size(plain("resnet50")) == 23_864_558
    assert size(FFNSettings(arch="resnet50")) == 24_010_158


@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
def test_without_shift_it_is_torchvisions_resnet(arch, tmp_path):
    torch.manual_seed(0)
    oracle = getattr(models, arch)(num_classes=7).eval()
    torch.save(oracle.state_dict(), tmp_path / "image.pth")
    ours = TSMResNet(plain(arch, shift="none", weights=str(tmp_path / "image.pth")), 7).eval()
    start_from(ours, plain(arch, weights=str(tmp_path / "image.pth")), None)
    ours.fc.load_state_dict(oracle.fc.state_dict())
    clip = clips(2, 3, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    image = (clip.flatten(0, 1) / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    expected = oracle(image).unflatten(0, (2, 3)).mean(1)
    torch.testing.assert_close(ours(clip), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("count", [4, 8, 16])
def test_clips_of_a_batch_do_not_mix_in_training(small, count):
    model = _training_with_fixed_norms(small)
    before = clips(4, count)
    after = before.clone()
    after[0] = clips(1, count, seed=1)[0]
    with torch.no_grad():
        first, second = model(before), model(after)
    assert torch.equal(first[1:], second[1:])
    assert not torch.equal(first[0], second[0])


def test_the_official_shift_does_mix_clips(small):
    # The trap itself, kept as an ablation; it also shows that the test above can fail.
    model = _training_with_fixed_norms(small.model_copy(update={"shift": "official"}))
    before = clips(4, 4)
    after = before.clone()
    after[0] = clips(1, 4, seed=1)[0]
    with torch.no_grad():
        assert not torch.equal(model(before)[1:], model(after)[1:])


def test_the_official_shift_refuses_a_batch_it_cannot_group(small):
    model = build_model(small.model_copy(update={"shift": "official"}), 5).train()
    with pytest.raises(UserError, match="batch_size"):
        model(clips(3, 4))


def test_weight_alteration_starts_at_a_thousandth():
    model = build_model(FFNSettings(arch="resnet50"), 5)
    values = torch.cat([m.weight.flatten() for m in model.modules() if isinstance(m, WeightAlteration)])
    assert len(values) == 3 * 13_120
    assert 0.9e-3 < values.std() < 1.1e-3
    assert abs(values.mean()) < 5e-5


def test_weight_alteration_is_a_residual_depthwise_convolution():
    alteration, conv = WeightAlteration(6), nn.Conv2d(6, 4, 3, padding=1, bias=False)
    nn.init.normal_(alteration.weight)
    depthwise = nn.Conv2d(6, 6, 1, groups=6, bias=False)
    depthwise.weight = alteration.weight
    x = torch.randn(2, 6, 5, 5)
    expected = conv(x + depthwise(x))
    torch.testing.assert_close(F.conv2d(x, alteration(conv.weight), padding=1), expected)


def test_every_frame_count_has_its_own_norm_everywhere():
    model = build_model(FFNSettings(arch="resnet50"), 5)
    norms = [m for m in model.modules() if isinstance(m, PerCount) and isinstance(m["4"], nn.BatchNorm2d)]
    assert len(norms) == 53  # a ResNet-50 has 53 BatchNorms: stem, bn1 to bn3, downsample
    stray = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(stray) == 3 * 53


def test_a_count_trains_its_own_statistics_only(small):
    model = build_model(small, 5).train()
    model(clips(2, 8))
    seen = {c: model.bn1[str(c)].num_batches_tracked.item() for c in small.frame_counts}
    assert seen == {4: 0, 8: 1, 16: 0}


def test_dropout_is_applied(small):
    model = build_model(small.model_copy(update={"dropout": 0.5}), 5).train()
    clip = clips(2, 4)
    assert not torch.equal(model(clip), model(clip))


def test_unshared_networks_share_nothing(small):
    model = build_model(small.model_copy(update={"sharing": False}), 5)
    model(clips(2, 4)).sum().backward()
    touched = {name.split(".")[1] for name, p in model.named_parameters() if p.grad is not None}
    assert touched == {"4"}


def _training_with_fixed_norms(settings: FFNSettings) -> nn.Module:
    """In training, except for the batch statistics, which would tie the clips of a batch together."""
    torch.manual_seed(0)
    model = build_model(settings.model_copy(update={"dropout": 0.0}), 5).train()
    nn.init.normal_(model.fc.weight)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model
