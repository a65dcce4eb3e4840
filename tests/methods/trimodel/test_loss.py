"""Each term against its formula in numpy, written down anew."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import entropy
from torch.nn import functional as F

from vidkd.data.tables import UNLABELLED
from vidkd.errors import UserError
from vidkd.methods.trimodel import loss
from vidkd.methods.trimodel.frozen import check_grids, other_layers, student_layers, to_grid
from vidkd.methods.trimodel.method import mix

RNG = np.random.default_rng(0)


def tokens(*shape):
    return torch.from_numpy(RNG.normal(2, 3, shape)).float()


def maps(*shape):
    return torch.from_numpy(softmax(RNG.normal(0, 2, shape), axis=-1)).float()


def test_clips_without_a_label_are_no_part_of_the_classification():
    logit_BK = tokens(4, 3)
    label_B = torch.tensor([2, UNLABELLED, 0, UNLABELLED])
    logs = log_softmax(logit_BK.numpy(), axis=1)
    assert loss.classification(logit_BK, label_B).item() == pytest.approx(-(logs[0, 2] + logs[2, 0]) / 2)
    assert loss.classification(logit_BK, torch.full((4,), UNLABELLED)) is None


def test_clips_of_several_classes_count_each_of_them_as_much():
    logit_BK = torch.tensor([[2.0, 0, 1], [0, 1, 0], [1, 1, 3]])
    share_BK = torch.tensor([[0.5, 0, 0.5], [0, 1, 0], [0, 0, 0]])
    logs = logit_BK.log_softmax(1)
    wanted = -((logs[0, 0] + logs[0, 2]) / 2 + logs[1, 1]) / 2
    found = loss.classification(logit_BK, torch.tensor([0, 1, UNLABELLED]), share_BK)
    assert found.item() == pytest.approx(wanted.item())


def test_hidden_states_by_the_seeds_mse():
    own, other = [tokens(2, 5, 4) for _ in range(3)], [tokens(2, 5, 4) for _ in range(3)]
    wanted = np.mean([((a - b).numpy() ** 2).mean() for a, b in zip(own, other, strict=True)])
    assert loss.hidden_distance(own, other, "mse").item() == pytest.approx(wanted, rel=1e-5)


def test_normalised_hidden_states_do_not_know_their_scale():
    own, other = tokens(2, 5, 16), tokens(2, 5, 16)
    found = loss.hidden_distance([own], [other], "normalised").item()
    scaled = [
        (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) for x in (own.numpy(), other.numpy())
    ]
    assert found == pytest.approx(((scaled[0] - scaled[1]) ** 2).mean(), rel=1e-4)
    assert loss.hidden_distance([10 * own + 3], [other], "normalised").item() == pytest.approx(
        found, rel=1e-3
    )


def test_attention_by_rows_and_by_the_seeds_mse():
    own, other = maps(2, 6, 6), maps(2, 6, 6)
    wanted = np.mean([entropy(other[b, n], own[b, n]) for b in range(2) for n in range(6)])
    assert loss.attention_distance([own], [other], "kl").item() == pytest.approx(wanted, rel=1e-4)
    squares = ((own - other).numpy() ** 2).mean()
    assert loss.attention_distance([own], [other], "mse").item() == pytest.approx(squares, rel=1e-5)


def test_the_seeds_attention_term_vanishes_with_many_tokens_and_the_rows_do_not():
    own, other = maps(1, 1568, 1568), maps(1, 1568, 1568)
    assert loss.attention_distance([own], [other], "mse").item() < 1e-4
    assert loss.attention_distance([own], [other], "kl").item() > 1


def test_weights_that_underflowed_are_no_infinity():
    own, other = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]]), torch.tensor([[[0.5, 0.5], [1.0, 0.0]]])
    assert torch.isfinite(loss.attention_distance([own], [other], "kl"))


def test_the_surer_network_has_more_of_the_mixture():
    logit_BK, teacher, assistant = tokens(3, 4), tokens(3, 4), 0.1 * tokens(3, 4)
    both = {"teacher": teacher, "assistant": assistant}
    found = loss.confidence(logit_BK, both, {"teacher": 1.0, "assistant": 0.8}, 4.0)
    total = 0.0
    for b in range(3):
        sure = [
            weight * (1 - entropy(softmax(x[b].double().numpy())) / np.log(4))
            for weight, x in ((1.0, teacher), (0.8, assistant))
        ]
        share = np.array(sure) / sum(sure)
        mixture = share[0] * softmax(teacher[b].numpy() / 4) + share[1] * softmax(assistant[b].numpy() / 4)
        total += 16 * entropy(mixture, softmax(logit_BK[b].numpy() / 4))
    assert found.item() == pytest.approx(total / 3, rel=1e-4)


def test_one_network_alone_is_plain_distillation():
    logit_BK, teacher = tokens(3, 4), tokens(3, 4)
    found = loss.confidence(logit_BK, {"teacher": teacher}, {"teacher": 0.3}, 2.0)
    wanted = 4 * F.kl_div((logit_BK / 2).log_softmax(1), (teacher / 2).softmax(1), reduction="batchmean")
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_sureness_is_one_of_a_certain_and_nearly_nothing_of_an_even_answer():
    found = loss.sureness(torch.tensor([[100.0, 0, 0], [1.0, 1.0, 1.0]]))
    assert found.tolist() == pytest.approx([1, 1e-6], abs=1e-6)


def test_decorrelation_is_the_mean_squared_correlation():
    one, other = tokens(2, 30, 3), tokens(2, 30, 5)
    wanted = np.mean(np.corrcoef(one.flatten(0, 1).T.numpy(), other.flatten(0, 1).T.numpy())[:3, 3:] ** 2)
    assert loss.decorrelation(one, other).item() == pytest.approx(wanted, rel=1e-3)
    assert loss.decorrelation(one[..., :1], one[..., :1]).item() == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize(
    ("depth", "other", "pairing", "wanted"),
    [
        (4, 12, "depth", [12, 9, 6]),
        (4, 12, "index", [12, 11, 10]),
        (12, 12, "depth", [12, 11, 10]),
        (12, 4, "depth", [4, 4, 3]),
        (3, 6, "depth", [6, 4, 2]),
    ],
)
def test_layers_meet_at_the_same_depth(depth, other, pairing, wanted):
    assert student_layers((-1, -2, -3), depth) == [depth, depth - 1, depth - 2]
    assert other_layers((-1, -2, -3), depth, other, pairing, "teacher") == wanted


def test_a_layer_that_the_other_network_lacks_is_named():
    with pytest.raises(UserError, match="the assistant has 4 layers and no layer -5"):
        other_layers((-1, -5), 12, 4, "index", "assistant")


def test_a_grid_is_interpolated_as_a_volume():
    """A field that is linear in time and place stays it; its order is time, height, width."""
    t, h, w = np.meshgrid(np.arange(4), np.arange(4), np.arange(4), indexing="ij")
    token_1ND = torch.from_numpy((t + 10 * h + 100 * w).reshape(1, -1, 1).astype(np.float32))
    found = to_grid(token_1ND, (4, 4, 4), (2, 2, 2)).reshape(2, 2, 2)
    centres = np.array([0.5, 2.5])
    wanted = centres[:, None, None] + 10 * centres[None, :, None] + 100 * centres[None, None, :]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert to_grid(token_1ND, (4, 4, 4), (4, 4, 4)) is token_1ND
    check_grids("teacher", (4, 4, 4), (4, 4, 4), attention=True)


def test_mixup_mixes_with_one_share_and_one_partner():
    generator = torch.Generator().manual_seed(1)
    clips = torch.randint(0, 256, (5, 2, 3, 4, 4), dtype=torch.uint8, generator=generator)
    mixed = mix(clips, 0.8, torch.Generator().manual_seed(3), 5)
    again = mix(clips, 0.8, torch.Generator().manual_seed(3), 5)
    assert torch.equal(mixed.pixels, again.pixels)
    assert 0 < mixed.share < 1
    assert sorted(mixed.partner.tolist()) == [0, 1, 2, 3, 4]
    wanted = mixed.share * clips.numpy().astype(float) + (1 - mixed.share) * clips[mixed.partner].numpy()
    assert np.abs(mixed.pixels.numpy() - wanted).max() <= 0.5001
    assert mix(clips, 0.0, torch.Generator(), 5).pixels is clips
