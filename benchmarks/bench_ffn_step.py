"""What a training step costs: FFN (4 + 8 + 16 frames) against its three separate TSM passes, interleaved.

On a CPU the demo's network is timed on one thread; where there is a GPU, ResNet-50 at batch 32, 224 pixels,
in bf16 is timed too; the public log has 0.39 s for a TSM step at 16 frames on an H200. Run: `make bench`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

from vidkd.data.clips import Batch
from vidkd.methods.ffn.settings import FFNSettings
from vidkd.methods.ffn.train import FFN

ROUNDS = 7
RESULTS = Path(__file__).parent / "results" / "ffn_step.csv"
COUNTS = (4, 8, 16)


def stepper(settings: FFNSettings, batch_size: int, device: torch.device) -> Callable[[], None]:
    """A function that does one training step on random clips."""
    method = FFN(settings, 174).to(device).train()
    optimizer = torch.optim.SGD(method.parameters(), lr=1e-3, momentum=0.9)
    size = settings.size
    clips = {
        count: torch.randint(0, 256, (batch_size, count, 3, size, size), dtype=torch.uint8, device=device)
        for count in settings.frame_counts
    }
    batch = Batch(clips, torch.arange(batch_size, device=device) % 174, torch.arange(batch_size))
    generator = torch.Generator()

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            terms = method(batch, generator)
        sum(terms.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def seconds(steps: list[Callable[[], None]]) -> float:
    """Wall time of the steps, one after the other."""
    start = time.perf_counter()
    for step in steps:
        step()
    return time.perf_counter() - start


def measure(arch: str, size: int, batch_size: int, device: torch.device) -> dict[str, object]:
    """Medians over interleaved rounds, the order reversed each round, and the median of the ratios."""
    recipe = FFNSettings(arch=arch, size=size)
    alone = {"weight_alteration": False}
    tsm = {
        c: stepper(recipe.model_copy(update=alone | {"frame_counts": (c,)}), batch_size, device)
        for c in COUNTS
    }
    contestants = {
        "ffn_s": [stepper(recipe, batch_size, device)],
        "three_tsm_s": list(tsm.values()),
        "tsm16_s": [tsm[16]],
    }
    names = list(contestants)
    rounds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(ROUNDS + 1):
        for name in names if number % 2 else reversed(names):
            taken = seconds(contestants[name])
            if number:  # the first round warms up
                rounds[name].append(taken)
    ratio = statistics.median(f / t for f, t in zip(rounds["ffn_s"], rounds["three_tsm_s"], strict=True))
    row: dict[str, object] = {"network": arch, "size": size, "batch": batch_size, "device": _name(device)}
    return (
        row
        | {name: statistics.median(values) for name, values in rounds.items()}
        | {"ffn_over_three_tsm": ratio}
    )


def _name(device: torch.device) -> str:
    return (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"cpu, {torch.get_num_threads()} thread"
    )


def main() -> None:
    """Measure, print and write the table."""
    torch.set_num_threads(1)
    rows = [measure("resnet_tiny", 48, 16, torch.device("cpu"))]
    if torch.cuda.is_available():
        torch.backends.cudnn.benchmark = True
        rows.append(measure("resnet50", 224, 32, torch.device("cuda")))
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.4f}".format))
    RESULTS.parent.mkdir(exist_ok=True)
    table.to_csv(RESULTS, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
