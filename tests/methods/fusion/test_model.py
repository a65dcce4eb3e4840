"""The head: what it computes, that nothing in it looks at the batch, and that all of it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.methods.fusion.cached import SHAPES, changed
from vidkd.features.batches import FeatureBatch
from vidkd.methods.fusion.method import Fuse
from vidkd.methods.fusion.model import FusionHead

FORMS = [(fusion, pooling) for fusion in ("gated", "concat") for pooling in ("attention", "mean")]
SETS = [["vjepa2"], ["vjepa2", "vivit"], ["vjepa2", "videomae", "vivit"], ["videomae", "vjepa2"]]


def head(names=tuple(SHAPES), **settings) -> FusionHead:
    torch.manual_seed(0)
    found = FusionHead({name: SHAPES[name] for name in names}, 3, changed(**settings))
    random = torch.Generator().manual_seed(1)
    statistics = {
        name: (
            torch.randn(SHAPES[name][1], generator=random),
            torch.rand(SHAPES[name][1], generator=random) + 0.5,
        )
        for name in names
    }
    found.standardise(statistics)
    return found


def clips(count: int, seed: int = 0) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return {name: torch.randn(count, *shape, generator=random) for name, shape in SHAPES.items()}


def normed(x: np.ndarray, norm: torch.nn.LayerNorm) -> np.ndarray:
    scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return scaled * norm.weight.numpy() + norm.bias.numpy()


def linear(x: np.ndarray, layer: torch.nn.Linear) -> np.ndarray:
    return x @ layer.weight.numpy().T + (0 if layer.bias is None else layer.bias.numpy())


def gelu(x: np.ndarray) -> np.ndarray:
    return F.gelu(torch.from_numpy(x)).numpy()


def resized(x: np.ndarray, steps: int) -> np.ndarray:
    """Linear interpolation along the tokens of one clip, feature by feature; ends are held."""
    places = (np.arange(steps) + 0.5) * len(x) / steps - 0.5
    return np.stack([np.interp(places, np.arange(len(x)), column) for column in x.T], axis=1)


def by_hand(model: FusionHead, clip: dict[str, np.ndarray], fusion: str, pooling: str) -> np.ndarray:
    """Logits of one clip, one step after the other."""
    tokens = []
    for name, part in model.inputs.items():
        standard = (clip[name] - part.standardise.mean.numpy()) / part.standardise.std.numpy()
        steps = SHAPES[next(iter(model.shapes))][0]
        tokens.append(resized(normed(linear(standard, part.project), part.norm), steps))
    if fusion == "gated":
        joined = tokens[0].copy()
        for gate, token in zip(model.join.gates.values(), tokens[1:], strict=True):
            opened = 1 / (1 + np.exp(-linear(np.concatenate([tokens[0], token], 1), gate)))
            joined += opened * token
    else:
        first, _, last = model.join.mlp
        joined = linear(gelu(linear(np.concatenate(tokens, 1), first)), last)
    token = joined + model.place_Nd.numpy()
    first, _, last = model.mlp
    token = token + linear(gelu(linear(normed(token, model.norm), first)), last)
    if pooling == "attention":
        score = np.exp(linear(token, model.pool.query))
        pooled = (score / score.sum() * token).sum(0)
    else:
        pooled = token.mean(0)
    return linear(normed(pooled, model.pooled_norm), model.classifier)


@pytest.mark.parametrize(("fusion", "pooling"), FORMS)
@pytest.mark.parametrize("names", SETS, ids=len)
def test_logits_are_those_of_the_steps_one_by_one(fusion, pooling, names):
    model = head(names, fusion=fusion, pooling=pooling).eval().requires_grad_(False)
    batch = clips(3)
    for row, found in enumerate(model(batch).numpy()):
        clip = {name: feature[row].numpy() for name, feature in batch.items()}
        np.testing.assert_allclose(found, by_hand(model, clip, fusion, pooling), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("fusion", "pooling"), FORMS)
def test_a_clip_gets_the_same_whatever_is_beside_it(fusion, pooling):
    model = head(fusion=fusion, pooling=pooling).eval()
    batch = clips(64)
    together = model(batch)
    alone = torch.cat([model({name: of[k : k + 1] for name, of in batch.items()}) for k in range(64)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)
    assert (together.argmax(1) == alone.argmax(1)).all()


@pytest.mark.parametrize(("fusion", "pooling"), FORMS)
@pytest.mark.parametrize("names", SETS, ids=len)
def test_every_term_reaches_every_parameter(fusion, pooling, names):
    model = head(names, fusion=fusion, pooling=pooling).train()
    method = Fuse(model, {}, "vjepa2", gate_sparsity=0.5)
    batch = FeatureBatch(clips(8), torch.arange(8) % 3, torch.arange(8))
    gated = fusion == "gated" and len(names) > 1
    found = method(batch, torch.Generator())
    assert list(found) == (["ce_loss", "gate_loss"] if gated else ["ce_loss"])
    found["ce_loss"].backward(retain_graph=gated)
    for name, parameter in method.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.norm() > 0, name
    if gated:
        method.zero_grad()
        found["gate_loss"].backward()
        for part in (*model.join.gates.parameters(), *model.inputs.parameters()):
            assert part.grad.norm() > 0


def test_the_gate_loss_is_the_weighted_mean_gate():
    model = head().eval()
    batch = FeatureBatch(clips(5), torch.zeros(5, dtype=torch.long), torch.arange(5))
    _, gates = model.fused(batch.features)
    assert list(gates) == ["videomae", "vivit"]
    assert all(((gate > 0) & (gate < 1)).all() for gate in gates.values())
    found = Fuse(model, {}, "vjepa2", 0.25)(batch, torch.Generator())
    wanted = 0.25 * np.mean([gate.detach().numpy().astype(np.float64).mean() for gate in gates.values()])
    assert found["gate_loss"].item() == pytest.approx(wanted, rel=1e-5)
    assert "gate_loss" not in Fuse(model, {}, "vjepa2", 0)(batch, torch.Generator())


def test_sparsity_closes_gates_and_without_it_they_may_stay_open():
    def after(sparsity: float) -> float:
        model = head()
        method = Fuse(model, {}, "vjepa2", sparsity)
        optimizer = torch.optim.AdamW(method.parameters(), 0.01)
        batch = FeatureBatch(clips(16), torch.arange(16) % 3, torch.arange(16))
        for _ in range(40):
            optimizer.zero_grad()
            sum(method(batch, torch.Generator()).values()).backward()
            optimizer.step()
        return torch.stack([gate.mean() for gate in model.fused(batch.features)[1].values()]).mean().item()

    assert after(10.0) < 0.2 < after(0)


@pytest.mark.parametrize("pooling", ["attention", "mean"])
def test_the_order_of_tokens_can_be_learnt(pooling):
    """Classes that are the same tokens forth and back: a set of tokens does not tell them apart."""
    random = torch.Generator().manual_seed(3)
    forth = torch.randn(1, 4, 6, generator=random) * 2
    feature = torch.cat([forth.expand(64, -1, -1), forth.flip(1).expand(64, -1, -1)])
    feature = feature + 0.5 * torch.randn(feature.shape, generator=random)
    label = torch.arange(128) // 64
    model = head(["vjepa2"], pooling=pooling, width=32)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(model({"vjepa2": feature}), label).backward()
        optimizer.step()
    model.eval()
    assert (model({"vjepa2": feature}).argmax(1) == label).float().mean() > 0.95
    assert (model({"vjepa2": feature.flip(1)}).argmax(1) == label).float().mean() < 0.05


def test_the_student_alone_has_a_head_of_the_same_kind():
    alone, both = head(["vjepa2"]), head(["vjepa2", "vivit"])
    own = {name for name, _ in alone.named_parameters()}
    assert own < {name for name, _ in both.named_parameters()}
    more = {name for name, _ in both.named_parameters()} - own
    assert all(name.startswith(("inputs.vivit.", "join.gates.vivit.")) for name in more)


def test_what_is_no_input_is_not_looked_at():
    model, batch = head(["vjepa2"]).eval(), clips(2)
    torch.testing.assert_close(model(batch), model({"vjepa2": batch["vjepa2"]}), rtol=0, atol=0)


def test_half_precision_features_are_taken():
    model, batch = head().eval(), clips(4)
    halves = {name: of.half() for name, of in batch.items()}
    torch.testing.assert_close(
        model(halves), model({n: of.float() for n, of in halves.items()}), rtol=0, atol=0
    )
