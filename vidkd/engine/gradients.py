"""Whether every loss term moves the trained network: a term without a gradient there teaches nothing."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from vidkd.engine.processes import summed
from vidkd.errors import UserError

log = logging.getLogger(__name__)


def check_gradients(
    method: nn.Module, student: nn.Module, terms: Collection[str], batch: Any, seed: int
) -> dict[str, float]:
    """Measure the norm of each term's gradient at the student's parameters, and refuse a norm of 0.

    The method and the random generators are afterwards as they were before.

    Args:
        method: as the training loop has it.
        student: the part of it that terms are to move; a projector that is moved teaches nothing.
        terms: names of the terms that there must be.
        batch: a training batch that has all terms, on the method's device.
        seed: of what is random in a step.

    Raises:
        UserError: a term has no gradient, or the batch does not have it.
    """
    before = {name: buffer.clone() for name, buffer in method.named_buffers()}
    method.train()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        found = method(batch, torch.Generator().manual_seed(seed))
        norms = {name: _norm(found[name], student) for name in terms if name in found}
    with torch.no_grad():
        for name, buffer in method.named_buffers():
            buffer.copy_(before[name])
    log.info(
        "gradient norms before the first step: %s",
        ", ".join(f"{name} {norm:.3g}" for name, norm in norms.items()),
    )
    if dead := [name for name in terms if not norms.get(name)]:
        raise UserError(
            f"{', '.join(dead)} would teach nothing: no gradient of it reaches the network. Set its weight "
            "to 0, or give it what it needs (labelled clips, a teacher that differs)."
        )
    return norms


def _norm(term: Tensor, student: nn.Module) -> float:
    trained = [parameter for parameter in student.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(term, trained, retain_graph=True, allow_unused=True)
    squares = [summed(gradient).double().square().sum() for gradient in gradients if gradient is not None]
    return torch.stack(squares).sum().sqrt().item() if squares else 0.0
