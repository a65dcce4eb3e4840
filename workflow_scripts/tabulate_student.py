"""The table of all students, each compared with a baseline, and of their teacher."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.evaluate.student import tabulate
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option(
    "--teacher", type=INPUT, required=True, help="metrics.json of the teacher, beside predictions.csv."
)
@click.option("--latency", type=INPUT, required=True, help="What each takes a clip, CSV.")
@click.option("--baseline", default="ce", help="The variant that the others are compared with.")
@click.option("--table", type=PATH, required=True, help="The table to write, CSV.")
@click.argument("metrics", nargs=-1, required=True, type=INPUT)
def main(teacher: Path, latency: Path, baseline: str, table: Path, metrics: tuple[Path, ...]) -> None:
    """Tabulate the runs METRICS; their predictions are read from predictions.csv beside each."""
    tabulate(metrics, teacher, latency, baseline, table)
    beside = [path.with_name("predictions.csv") for path in (*metrics, teacher)]
    code = code_digest("workflow_scripts.tabulate_student")
    inputs = [*metrics, teacher, latency, *beside]
    write_sidecar(table, settings={"baseline": baseline}, inputs=inputs, code=code)


if __name__ == "__main__":
    main()
