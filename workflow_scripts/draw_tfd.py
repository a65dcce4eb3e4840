"""Accuracy against frames, for all variants."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.figures import draw_tfd


@command
@click.option("--any-frame", type=INPUT, required=True, help="Accuracy at every frame count, CSV.")
@click.option("--figure", type=PATH, multiple=True, required=True, help="Figure to write, .svg or .png.")
def main(any_frame: Path, figure: tuple[Path, ...]) -> None:
    """Draw the TFD curves."""
    draw_tfd(any_frame, figure)
    for path in figure:
        write_sidecar(path, settings={}, inputs=[any_frame], code=code_digest("workflow_scripts.draw_tfd"))


if __name__ == "__main__":
    main()
