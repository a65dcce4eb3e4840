"""What a clip takes each student, the teacher and the assistant, on one and on two threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from vidkd.backbones.registry import load_backbone
from vidkd.backbones.videomae import VideoMAE
from vidkd.evaluate.efficiency import count_parameters, gflops
from vidkd.evaluate.timing import quartiles, time_rounds
from vidkd.files import atomic
from vidkd.methods.probes.model import LinearProbe
from vidkd.methods.trimodel.frozen import check_network, load_head
from vidkd.methods.trimodel.predict import load_student
from vidkd.methods.trimodel.train import Network

THREADS = (1, 2)


def measure(
    students: Mapping[str, Path], networks: Mapping[str, Network], output: Path, rounds: int = 30
) -> None:
    """Write a row for each: `variant, frames, params, gflops, ms_1, ms_1_low, ms_1_high, ms_2, …`.

    `ms` is the median time of one clip that has been decoded, by the number of threads of a CPU; `low` and
    `high` are the quartiles.

    Args:
        students: `model.safetensors` by variant.
        networks: teacher and assistant by these names.
        output: csv to write.
        rounds: how often each is timed.

    Raises:
        UserError: a network cannot be loaded.
    """
    rows: dict[str, dict[str, object]] = {}
    parts: dict[str, Callable[[], object]] = {}
    for name, weights in students.items():
        model, settings, _ = load_student(weights)
        rows[name], parts[name] = _measured(name, model, settings.frames, settings.size)
    for name, network in networks.items():
        whole = _with_head(network)
        spec = whole.backbone.spec
        rows[name], parts[name] = _measured(name, whole, spec.frames, spec.size)
    for threads in THREADS:
        torch.set_num_threads(threads)
        for name, taken in time_rounds(parts, rounds, f"rounds with {threads} threads").items():
            columns = (f"ms_{threads}", f"ms_{threads}_low", f"ms_{threads}_high")
            times = zip(columns, quartiles(taken), strict=True)
            rows[name] |= {column: f"{value:.3f}" for column, value in times}
    with atomic(output) as temporary:
        pd.DataFrame(list(rows.values())).to_csv(temporary, index=False)


class _WithHead(nn.Module):
    """A frozen network and its linear head, from uint8 clips to logits."""

    def __init__(self, backbone: VideoMAE, head: LinearProbe) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, pixels_BTCHW: Tensor) -> Tensor:
        """Logits (B, K)."""
        logit_BK: Tensor = self.head(self.backbone(pixels_BTCHW).flatten(1, 2))
        return logit_BK


def _with_head(network: Network) -> _WithHead:
    backbone = load_backbone(network.backbone)
    assert isinstance(backbone, VideoMAE)
    check_network(network.head, backbone)
    return _WithHead(backbone, load_head(network.head))


def _measured(
    name: str, network: nn.Module, frames: int, size: int
) -> tuple[dict[str, object], Callable[[], object]]:
    """What it costs, and a run of it on a random clip: uint8 (1, T, 3, size, size)."""
    generator = torch.Generator().manual_seed(0)
    clip_1TCHW = torch.randint(0, 256, (1, frames, 3, size, size), dtype=torch.uint8, generator=generator)
    row: dict[str, object] = {
        "variant": name,
        "frames": frames,
        "params": count_parameters(network),
        "gflops": gflops(network, frames, size),
    }
    return row, lambda: network(clip_1TCHW)
