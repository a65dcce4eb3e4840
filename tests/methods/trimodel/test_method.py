"""A training step: every term is its distance times the weights that it is to have, mixed clips included."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from tests.backbones.checkpoints import clips
from tests.methods.student.taught import CLASSES
from tests.methods.trimodel.assisted import FRAMES, Assisted, changed
from vidkd.data.clips import Batch
from vidkd.methods.inputs import Inputs
from vidkd.methods.trimodel.method import Distil, mix
from vidkd.methods.trimodel.model import pretrained_student
from vidkd.methods.trimodel.train import open_frozen

COUNT = 5
WEIGHTED = {
    "classification_weight": 0.7, "feature_distillation_weight": 0.9, "attention_distillation_weight": 0.3,
    "asymmetric_weight": 0.4, "teacher_feature_weight": 1.1, "assistant_feature_weight": 0.6,
    "batch_size": COUNT, "attention": "mse",
}  # fmt: skip


def method_of(assisted: Assisted, **changes: object) -> Distil:
    settings = changed(**WEIGHTED | changes)
    torch.manual_seed(0)
    student = pretrained_student(settings, assisted.backbones["teacher"], len(CLASSES["colour"]))
    names = sorted(CLASSES["colour"])
    frozen = {
        name: open_frozen(name, Inputs(assisted.needs()), settings, student, names, 0, torch.device("cpu"))
        for name in ("teacher", "assistant")
    }
    method = Distil(student, frozen, settings)
    with torch.no_grad():  # a student that is its teacher has no distance to it
        for parameter in method.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape))
    return method


def batch_of() -> Batch:
    labels = torch.tensor([0, 3, 1, 5, 2])
    return Batch({FRAMES: clips(COUNT, FRAMES)}, labels, torch.arange(COUNT))


def terms_of(method: Distil, batch: Batch, seed: int = 0) -> dict[str, float]:
    with torch.no_grad():
        found = method(batch, torch.Generator().manual_seed(seed))
    return {name: term.item() for name, term in found.items()}


def test_each_term_is_its_distance_times_its_weight_and_that_of_its_network(assisted):
    method, batch = method_of(assisted), batch_of()
    found, pixels = terms_of(method, batch), batch.clips[FRAMES]
    with torch.no_grad():
        seen = method.model.look_inside(pixels, method.layers, attention=True)
        taught = {name: network(pixels) for name, network in method.frozen.items()}
    wanted = {"task_loss": 0.7 * F.cross_entropy(seen.logits, batch.label).item()}
    for name, weight in (("teacher", 1.1), ("assistant", 0.6)):
        hidden = [
            (project(own) - other).square().mean()
            for project, own, other in zip(
                method.projectors[name], seen.hidden, taught[name].hidden, strict=True
            )
        ]
        maps = [
            (own - other).square().mean()
            for own, other in zip(seen.attention, taught[name].attention, strict=True)
        ]
        wanted[f"{name}_feature_loss"] = 0.9 * weight * (sum(hidden) / 2).item()
        wanted[f"{name}_attention_loss"] = 0.3 * weight * (sum(maps) / 2).item()
    wanted["asymmetric_loss"] = found["asymmetric_loss"]
    assert found == pytest.approx(wanted, rel=1e-4)
    assert min(found.values()) > 0


def test_the_asymmetric_term_has_its_own_weight(assisted):
    once, twice = (terms_of(method_of(assisted, asymmetric_weight=w), batch_of()) for w in (0.4, 0.8))
    assert twice["asymmetric_loss"] == pytest.approx(2 * once["asymmetric_loss"], rel=1e-5)


def test_labels_of_mixed_clips_count_by_the_share_of_each(assisted):
    method, batch = method_of(assisted, mixup=0.8), batch_of()
    found = terms_of(method, batch, seed=4)["task_loss"]
    mixed = mix(batch.clips[FRAMES], 0.8, torch.Generator().manual_seed(4), COUNT)
    assert mixed.partner.tolist() != list(range(COUNT))
    with torch.no_grad():
        log_BK = method.model(mixed.pixels).log_softmax(1)
    own, other = (-log_BK[range(COUNT), of].mean() for of in (batch.label, batch.label[mixed.partner]))
    wanted = 0.7 * (mixed.share * own + (1 - mixed.share) * other)
    assert found == pytest.approx(wanted.item(), rel=1e-5)
    assert found != pytest.approx(0.7 * own.item(), rel=1e-3)
