"""What Snakemake itself takes of a local run in which jobs wait for cores: with its clock, and without.

rules/machine.smk has a local run look for jobs when something has ended; Snakemake's own clock adds a look a
second for every job that ends. A workflow of short jobs, in turns, medians. Run: `make bench`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

RESULTS = Path(__file__).parent / "results" / "scheduler.csv"
ROUNDS, JOBS = 3, (30, 120)
SNAKEFILE = """
rule all:
    input: expand("done/{{n}}", n=range({jobs}))

rule wait:
    output: "done/{{n}}"
    shell: "sleep 1; touch {{output}}"

onstart:
    {onstart}
"""
WAYS = {"clock": "pass", "events": "workflow.scheduler.job_rate_limiter = None"}


def measure(way: str, jobs: int) -> tuple[float, float]:
    """CPU seconds of Snakemake and its shells, and wall seconds."""
    with tempfile.TemporaryDirectory() as name:
        Path(name, "Snakefile").write_text(SNAKEFILE.format(jobs=jobs, onstart=WAYS[way]))
        before, start = os.times(), time.monotonic()
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all"]
        subprocess.run(command, cwd=name, check=True, capture_output=True)
        after = os.times()
        cpu = sum(after[2:4]) - sum(before[2:4])
        return cpu, time.monotonic() - start


def main() -> None:
    """Measure, print and write the table."""
    rows = []
    for jobs in JOBS:
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for number in range(ROUNDS):
            for way in WAYS if number % 2 else reversed(WAYS):
                found[way].append(measure(way, jobs))
        for way, values in found.items():
            cpu, wall = (statistics.median(column) for column in zip(*values, strict=True))
            rows.append({"jobs": jobs, "looks_by": way, "cpu_s": cpu, "wall_s": wall})
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.1f}".format))
    RESULTS.parent.mkdir(exist_ok=True)
    table.to_csv(RESULTS, index=False, float_format="%.1f")


if __name__ == "__main__":
    main()
