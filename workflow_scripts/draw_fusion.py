"""What each fusion head gains over the baseline."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.figures import draw_fusion


@command
@click.option("--table", type=INPUT, required=True, help="Table of fusion heads, CSV.")
@click.option("--figure", type=PATH, multiple=True, required=True, help="Figure to write, .svg or .png.")
def main(table: Path, figure: tuple[Path, ...]) -> None:
    """Draw the figure of all fusion heads."""
    draw_fusion(table, figure)
    for path in figure:
        write_sidecar(path, settings={}, inputs=[table], code=code_digest("workflow_scripts.draw_fusion"))


if __name__ == "__main__":
    main()
