"""What several processes do together is what one does, and who cannot be shared says so."""

from __future__ import annotations

import pytest
import torch

from tests.engine.torchrun import torchrun
from vidkd.config.training import TrainingSettings
from vidkd.engine.processes import averaged, gathered, highest, in_order, part, sum_gradients, whole_batch
from vidkd.engine.runtime import start
from vidkd.errors import UserError


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "clips"), [(2, 7), (3, 8)])
def test_a_step_is_that_of_one_process(processes, clips):
    """In double precision, so that what is left is a mistake: loss, gradients, statistics, dropout."""
    done = torchrun(processes, "tests.engine.exact", clips)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the same with") == processes


def test_in_one_process_nothing_is_another():
    value = torch.ones(3, requires_grad=True)
    assert gathered(value, 3) is value
    assert averaged(value, 3) is value
    assert highest(15) == 15
    assert (found := [value]) is in_order(found)
    assert part(7) == slice(0, 7)
    network = torch.nn.Linear(3, 1)
    network(value).sum().backward()
    before = network.weight.grad.clone()
    sum_gradients(network)
    assert torch.equal(network.weight.grad, before)
    with whole_batch(8):
        torch.nn.functional.dropout(torch.rand(3))


def test_a_training_that_is_not_shared_refuses_several_processes(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"runs in one process, for it is short .* without torchrun"):
        start(TrainingSettings(), 0)
