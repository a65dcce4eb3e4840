"""Recall of each class, for all methods."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.per_class import draw_per_class


@command
@click.option("--table", type=INPUT, required=True, help="Table of classes, CSV.")
@click.option("--figure", type=PATH, multiple=True, required=True, help="Figure to write, .svg or .png.")
def main(table: Path, figure: tuple[Path, ...]) -> None:
    """Draw the bars of all methods."""
    draw_per_class(table, figure)
    code = code_digest("workflow_scripts.draw_per_class")
    for path in figure:
        write_sidecar(path, settings={}, inputs=[table], code=code)


if __name__ == "__main__":
    main()
