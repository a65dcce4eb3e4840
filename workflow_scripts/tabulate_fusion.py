"""The table of all fusion heads, each compared with a baseline."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.evaluate.fusion import tabulate
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--baseline", default="student", help="The variant that the others are compared with.")
@click.option("--table", type=PATH, required=True, help="The table to write, CSV.")
@click.argument("metrics", nargs=-1, required=True, type=INPUT)
def main(baseline: str, table: Path, metrics: tuple[Path, ...]) -> None:
    """Tabulate the runs METRICS; their predictions are read from predictions.csv beside each."""
    tabulate(metrics, baseline, table)
    inputs = [*metrics, *(path.with_name("predictions.csv") for path in metrics)]
    code = code_digest("workflow_scripts.tabulate_fusion")
    write_sidecar(table, settings={"baseline": baseline}, inputs=inputs, code=code)


if __name__ == "__main__":
    main()
