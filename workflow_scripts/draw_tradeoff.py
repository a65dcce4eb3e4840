"""Accuracy against time and parameters, for all methods."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.tradeoff import draw_tradeoff


@command
@click.option("--table", type=INPUT, required=True, help="Table of efficiency, CSV.")
@click.option("--figure", type=PATH, multiple=True, required=True, help="Figure to write, .svg or .png.")
def main(table: Path, figure: tuple[Path, ...]) -> None:
    """Draw a point for each network."""
    draw_tradeoff(table, figure)
    code = code_digest("workflow_scripts.draw_tradeoff")
    for path in figure:
        write_sidecar(path, settings={}, inputs=[table], code=code)


if __name__ == "__main__":
    main()
