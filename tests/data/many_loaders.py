"""A program for a test: start loaders with workers again and again, and count what comes out of them."""

from __future__ import annotations

import torch
from torch.utils.data import Dataset

from vidkd.data.clips import Sample, clip_loader
from vidkd.engine.runtime import StopSignal


class Blank(Dataset):
    """Clips of one black pixel."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, row: int) -> Sample:
        return Sample(
            torch.zeros(1, 3, 1, 1, dtype=torch.uint8), {1: torch.zeros(1, dtype=torch.int64)}, 0, row
        )


if __name__ == "__main__":
    with StopSignal() as stop:
        print("ready", flush=True)
        rounds = [[batch.row.tolist() for batch in clip_loader(Blank(), 2, batch_size=2)] for _ in range(20)]
        print(rounds.count([[0, 1], [2, 3]]), stop.received, flush=True)
