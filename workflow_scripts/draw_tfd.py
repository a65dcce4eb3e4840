"""Accuracy against frames, for all variants."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import command
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.figures import draw_tfd

FILE = click.Path(path_type=Path)


@command
@click.option("--any-frame", type=FILE, required=True, help="Accuracy at every frame count, CSV.")
@click.option("--figure", type=FILE, multiple=True, required=True, help="Figure to write, .svg or .png.")
def main(any_frame: Path, figure: tuple[Path, ...]) -> None:
    """Draw the TFD curves."""
    draw_tfd(any_frame, figure)
    for path in figure:
        write_sidecar(path, settings={}, inputs=[any_frame], code=code_digest("workflow_scripts.draw_tfd"))


if __name__ == "__main__":
    main()
