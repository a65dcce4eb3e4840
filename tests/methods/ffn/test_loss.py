from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from vidkd.methods.ffn.loss import counts_of_step, loss_terms, temporal_distillation


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    return {c: torch.randn(6, 5, generator=generator, requires_grad=True) for c in (4, 8, 16)}


LABEL = torch.tensor([0, 1, 2, 3, 4, 0])


def test_values_are_the_papers(logits):
    terms = temporal_distillation(logits, LABEL, lambda_kl=0.7)
    p = {c: softmax(x.detach().double().numpy()) for c, x in logits.items()}
    ce = -np.log(p[16][np.arange(6), LABEL]).mean()
    assert terms.pop("ce_16f_loss").item() == pytest.approx(ce, rel=1e-5)
    for count in (4, 8):
        kl = (p[16] * np.log(p[16] / p[count])).sum(1).mean()
        assert terms.pop(f"kl_{count}f_loss").item() == pytest.approx(0.7 * kl, rel=1e-5)
    assert not terms


def test_the_teacher_learns_from_labels_only(logits):
    terms = temporal_distillation(logits, LABEL, 1.0)
    (terms["kl_4f_loss"] + terms["kl_8f_loss"]).backward()
    assert logits[16].grad is None
    assert logits[4].grad.abs().sum() > 0


def test_ce_on_all_uses_every_count(logits, small):
    terms = loss_terms(logits, LABEL, small.model_copy(update={"objective": "cross_entropy"}))
    assert sorted(terms) == ["ce_16f_loss", "ce_4f_loss", "ce_8f_loss"]


@pytest.mark.parametrize(("sampling", "share"), [("mixed", (1, 1, 1)), ("proportional", (4, 8, 16))])
def test_sampled_counts_come_in_their_shares(small, sampling, share):
    settings = small.model_copy(update={"sampling": sampling})
    generator = torch.Generator().manual_seed(0)
    drawn = Counter(counts_of_step(settings, generator)[0] for _ in range(6000))
    expected = np.array(share) / sum(share)
    np.testing.assert_allclose([drawn[c] / 6000 for c in (4, 8, 16)], expected, atol=0.03)
    assert counts_of_step(small, generator) == (4, 8, 16)
