"""Run by torchrun: a step of a small network in one process, then in all of them, in double precision."""

from __future__ import annotations

import sys

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vidkd.data.tables import UNLABELLED
from vidkd.engine.processes import averaged, gathered, part, sum_gradients, whole_batch
from vidkd.methods.student.loss import dist
from vidkd.methods.student.settings import StudentSettings

FRAMES, CLASSES = 3, 4


class Network(nn.Module):
    """BatchNorms of images and of rows, one without weights, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.plain, self.rows = nn.BatchNorm2d(8, affine=False), nn.BatchNorm1d(8)
        self.dropout, self.fc = nn.Dropout(0.3), nn.Linear(8, CLASSES)

    def forward(self, clip_BTCHW: Tensor) -> Tensor:
        x = self.plain(self.norm(self.conv(clip_BTCHW.flatten(0, 1))).relu()).mean((2, 3))
        return self.fc(self.dropout(self.rows(x))).unflatten(0, (-1, FRAMES)).mean(1)


def losses(network: Network, clips: Tensor, labels: Tensor, total: int) -> Tensor:
    """A loss of labelled clips only, one that compares clips with each other, and a mean over clips."""
    own_BK = network(clips)
    logit_BK, label_B = gathered(own_BK, total), gathered(labels, total)
    known_B = label_B != UNLABELLED
    relational = dist(logit_BK, logit_BK.detach().flip(1).roll(1, 0), label_B, StudentSettings())
    return (
        cross_entropy(logit_BK[known_B], label_B[known_B])
        + relational
        + averaged(own_BK.square().mean(), total)
    )


def step(clips: Tensor, labels: Tensor, total: int) -> dict[str, Tensor]:
    """Loss, gradients, statistics and random state after one step."""
    torch.manual_seed(0)
    network = Network().double().train()
    with whole_batch(total):
        loss = losses(network, clips, labels, total)
    loss.backward()
    sum_gradients(network)
    found = {f"grad {name}": parameter.grad for name, parameter in network.named_parameters()}
    return {**found, **dict(network.named_buffers()), "loss": loss.detach(), "draw": torch.rand(3)}


def main(total: int) -> None:
    generator = torch.Generator().manual_seed(1)
    clips = torch.randn(total, FRAMES, 3, 8, 8, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, CLASSES, (total,), generator=generator)
    labels[::3] = UNLABELLED
    alone = step(clips, labels, total)
    Accelerator(cpu=True)
    own = part(total)
    together = step(clips[own], labels[own], total)
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=1e-9, atol=1e-12, msg=f"{name} is another")
    print(f"the same with {own.stop - own.start} of {total}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
