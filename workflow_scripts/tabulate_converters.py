"""The table of the quality of all converters."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.evaluate.quality import tabulate
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--table", type=PATH, required=True, help="The table to write, CSV.")
@click.argument("metrics", nargs=-1, required=True, type=INPUT)
def main(table: Path, metrics: tuple[Path, ...]) -> None:
    """Tabulate the converters METRICS."""
    tabulate(metrics, table)
    write_sidecar(
        table, settings={}, inputs=metrics, code=code_digest("workflow_scripts.tabulate_converters")
    )


if __name__ == "__main__":
    main()
