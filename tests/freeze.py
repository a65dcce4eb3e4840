"""What a run plans and what came out of it, as lines to compare before and after a move of code.

    python -m tests.freeze plan --configfile config/experiments/tiny.yaml > before.txt
    python -m tests.freeze sums results/tiny > sums.txt

A plan has a line for each job: what it makes, and which of its inputs other jobs make; names of rules are
left out, because a move may change them. Sums are of weights, predictions and tables; those of weights hold
for one kind of processor.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

KEPT = ("*.safetensors", "*.csv", "metrics.json", "efficiency.json", "*.onnx")
TIMED = ("latency.csv", "wall_time.csv", "efficiency.csv", "provenance.csv", "modes.csv")
"""Tables of times and of what made a run, which differ each time."""

_JOB = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .+\n)+)", re.MULTILINE)


def plan(arguments: list[str]) -> Iterator[str]:
    """A line for each job of a dry run."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--dry-run"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    jobs = [_files(text) for rule, text in _JOB.findall(printed) if rule != "all"]
    made = {name for outputs, _ in jobs for name in outputs}
    for outputs, inputs in sorted(jobs):
        yield f"{' '.join(outputs)} <- {' '.join(name for name in inputs if name in made)}"


def _files(text: str) -> tuple[list[str], list[str]]:
    found = dict(re.findall(r"^    (\w+): (.+)$", text, re.MULTILINE))
    outputs, inputs = (sorted(set(found.get(name, "").split(", "))) for name in ("output", "input"))
    return outputs, inputs


def sums(folder: Path) -> Iterator[str]:
    """A line for each result."""
    found = {path for pattern in KEPT for path in folder.rglob(pattern)}
    for path in sorted(found):
        place = path.relative_to(folder)
        if path.name not in TIMED and place.parts[0] not in ("benchmarks", "demo", "source", "logs"):
            yield f"{hashlib.sha256(path.read_bytes()).hexdigest()[:16]} {place}"


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    print(*(plan(rest) if what == "plan" else sums(Path(rest[0]))), sep="\n")
