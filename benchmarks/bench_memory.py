"""What keeping freed memory is worth: FFN steps in processes with and without it, interleaved. CPU only.

Run: `make bench`.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import torch
from bench_ffn_step import stepper

from vidkd.engine.cpu import use_cpu
from vidkd.methods.ffn.settings import FFNSettings

ROUNDS, STEPS, WARM = 4, 20, 10
RESULTS = Path(__file__).parent / "results" / "memory.csv"
WAYS = {"kept": use_cpu, "returned": torch.set_num_threads}


def steps(way: str) -> None:
    """Print seconds of a step, page faults of a step and the process' peak memory in MB."""
    WAYS[way](1)
    step = stepper(FFNSettings(arch="resnet_tiny", size=48), 16, torch.device("cpu"))
    for number in range(WARM + STEPS):
        if number == WARM:
            start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        step()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        (time.perf_counter() - start) / STEPS,
        (used.ru_minflt - before) / STEPS,
        used.ru_maxrss / 1024,
    )


def main() -> None:
    """Measure, print and write the table."""
    found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for number in range(ROUNDS):
        for way in WAYS if number % 2 else reversed(WAYS):
            command = [sys.executable, __file__, way]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[way].append([float(value) for value in done.stdout.split()])
    columns = ["step_s", "faults_of_a_step", "peak_mb"]
    table = pd.DataFrame(
        [[way, *map(statistics.median, zip(*rows, strict=True))] for way, rows in found.items()],
        columns=["memory", *columns],
    )
    ratios = [kept[0] / returned[0] for kept, returned in zip(*found.values(), strict=True)]
    table["time_kept_over_returned"] = statistics.median(ratios)
    print(table.to_string(index=False, float_format="{:.3f}".format))
    table.to_csv(RESULTS, index=False, float_format="%.3f")


if __name__ == "__main__":
    steps(sys.argv[1]) if len(sys.argv) > 1 else main()
