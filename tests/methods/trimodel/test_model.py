"""The student's network: what it starts as, what is seen inside of it, and how its layers learn."""

from __future__ import annotations

import pytest
import torch
import transformers

from tests.backbones.checkpoints import clips
from tests.methods.trimodel.assisted import FRAMES, changed
from vidkd.methods.inputs import Inputs
from vidkd.methods.trimodel.method import Distil, layer_groups, projector
from vidkd.methods.trimodel.model import new_student, pretrained_student, use_drop_path
from vidkd.methods.trimodel.train import open_frozen

SMALL = changed(backbone=None, size=32, patch=8, width=24, layers=4, heads=2, initial_std=0.1)


def test_it_starts_as_the_checkpoint(assisted):
    start = assisted.backbones["teacher"]
    student = pretrained_student(changed(), start, 6).eval()
    clip = clips(2, FRAMES)
    seen = student.look_inside(clip, [3], attention=True)
    own = transformers.VideoMAEModel.from_pretrained(assisted.root / "teacher").eval()
    with torch.no_grad():
        theirs = own(student.normalise(clip), output_hidden_states=True)
    torch.testing.assert_close(seen.hidden[0], theirs.hidden_states[3], atol=1e-5, rtol=1e-5)
    # The checkpoint's last norm has become that of the mean.
    norm = own.layernorm.state_dict()
    assert all(torch.equal(value, norm[name]) for name, value in student.network.fc_norm.state_dict().items())
    wanted = student.network.classifier(student.network.fc_norm(seen.hidden[0].mean(1)))
    torch.testing.assert_close(seen.logits, wanted)
    torch.testing.assert_close(student(clip), seen.logits, atol=1e-5, rtol=1e-5)


def test_attention_is_the_mean_over_heads_and_needs_the_eager_form(assisted):
    student = pretrained_student(changed(), assisted.backbones["teacher"], 6).eval()
    seen = student.look_inside(clips(2, FRAMES), [1, 3], attention=True)
    assert [tuple(found.shape) for found in seen.attention] == [(2, 32, 32)] * 2
    torch.testing.assert_close(seen.attention[0].sum(-1), torch.ones(2, 32))
    own = transformers.VideoMAEModel.from_pretrained(assisted.root / "teacher", attn_implementation="eager")
    with torch.no_grad():
        maps = own.eval()(student.normalise(clips(2, FRAMES)), output_attentions=True).attentions
    for found, layer in zip(seen.attention, (1, 3), strict=True):  # layers count from 1
        torch.testing.assert_close(found, maps[layer - 1].mean(1), atol=1e-5, rtol=1e-4)
    assert student.network.config._attn_implementation == "eager"
    without = new_student(changed(SMALL, attention_distillation_weight=0), 6)
    assert without.network.config._attn_implementation == "sdpa"


def test_every_projector_is_trained(assisted):
    student = new_student(SMALL, 6)
    classes = ["blue", "cyan", "green", "magenta", "red", "yellow"]
    frozen = {
        name: open_frozen(name, Inputs(assisted.needs()), SMALL, student, classes, 0, torch.device("cpu"))
        for name in ("teacher", "assistant")
    }
    method = Distil(student, frozen, SMALL)
    assert {name: [p.weight.shape for p in of] for name, of in method.projectors.items()} == {
        "teacher": [(48, 24)] * 2, "assistant": [(32, 24)] * 2
    }  # fmt: skip
    trained = [p for group in layer_groups(method, SMALL) for p in group["params"]]
    assert {id(p) for p in trained} == {id(p) for p in method.parameters()}
    assert len(trained) == len({id(p) for p in trained})
    assert not any(name.startswith(("frozen", "teacher")) for name in method.state_dict())


def test_lower_layers_learn_more_slowly_and_norms_do_not_decay():
    student = new_student(SMALL, 6)
    method = Distil(student, {}, changed(SMALL, teacher_feature_weight=0, assistant_feature_weight=0))
    settings = changed(SMALL, lr=1.0, layer_decay=0.5, weight_decay=0.1)
    rates = {
        id(p): (group["lr"], group["weight_decay"])
        for group in layer_groups(method, settings)
        for p in group["params"]
    }
    network = student.network
    assert rates[id(network.classifier.weight)] == (1.0, 0.1)
    assert rates[id(network.fc_norm.weight)] == (1.0, 0.0)
    assert rates[id(network.videomae.encoder.layer[3].output.dense.weight)] == (0.5, 0.1)
    assert rates[id(network.videomae.encoder.layer[0].output.dense.weight)] == (0.5**4, 0.1)
    assert rates[id(network.videomae.embeddings.patch_embeddings.projection.weight)] == (0.5**5, 0.1)


def test_drop_path_skips_whole_branches_in_training_alone():
    student = new_student(SMALL, 6).eval()
    clip = clips(64, FRAMES)
    before = student(clip)
    use_drop_path(student, 0.5)
    assert torch.equal(student(clip), before)
    torch.manual_seed(0)
    student.train()
    with torch.no_grad():
        layer = student.network.videomae.encoder.layer[3]
        token_BND = torch.randn(256, 5, 24)
        out = layer.output.dense(torch.randn(256, 5, 96))
        skipped = (out == 0).flatten(1).all(1)
        assert 0.4 < skipped.float().mean() < 0.6
        assert not (student.network.videomae.encoder.layer[0].output.dense(torch.randn(9, 5, 96)) == 0).any()
        assert layer(token_BND).shape == token_BND.shape


@pytest.mark.parametrize("name", ["teacher", "assistant"])
def test_the_heads_know_colours(assisted, name):
    metrics = assisted.fit(name)
    assert metrics["gate"]["passed"]
    assert metrics["val_probe"] > 30


def test_a_projector_between_equal_widths_starts_as_nothing():
    token_BND = torch.randn(2, 5, 24)
    torch.testing.assert_close(projector(24, 24)(token_BND), token_BND)
    assert projector(24, 32)(token_BND).shape == (2, 5, 32)
