"""Draw a figure of the report."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd import lazy
from vidkd.artefacts import write_sidecars
from vidkd.config.options import PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.methods.cli import needs_options
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.provenance import code_digest


@command
@needs_options
@click.option("--figure", type=PATH, multiple=True, required=True, help="File to draw, SVG or PNG.")
@click.argument("draw", metavar="MODULE:FUNCTION")
def main(draw: str, needs: Needs, figure: tuple[Path, ...]) -> None:
    """Draw with MODULE:FUNCTION, such as vidkd.report.curves:draw_curves."""
    setup_logging()
    inputs = Inputs(needs)
    lazy.load(draw)(inputs, figure)
    code = code_digest("workflow_scripts.draw", lazy.module_of(draw))
    write_sidecars(figure, settings={}, inputs=inputs.files, code=code)


if __name__ == "__main__":
    main()
