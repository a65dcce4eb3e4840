"""How like features of networks are to each other."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.similarity import draw_similarity


@command
@click.option("--table", type=INPUT, required=True, help="Table of pairs, CSV.")
@click.option("--figure", type=PATH, multiple=True, required=True, help="Figure to write, .svg or .png.")
def main(table: Path, figure: tuple[Path, ...]) -> None:
    """Draw the heat map of all pairs."""
    draw_similarity(table, figure)
    code = code_digest("workflow_scripts.draw_similarity")
    for path in figure:
        write_sidecar(path, settings={}, inputs=[table], code=code)


if __name__ == "__main__":
    main()
