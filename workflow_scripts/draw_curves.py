"""Training curves of the variants of a method."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import PATH, command
from vidkd.named import named_places
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.curves import draw_curves


@command
@click.option("--figure", type=PATH, multiple=True, required=True, help="Figure to write, .svg or .png.")
@click.argument("histories", metavar="VARIANT=HISTORY...", nargs=-1, required=True)
def main(histories: tuple[str, ...], figure: tuple[Path, ...]) -> None:
    """Draw these history.csv, each beside its config.json; a variant may have several: its seeds."""
    files = named_places(histories, "HISTORIES")
    draw_curves(files, figure)
    read = [path for paths in files.values() for path in paths]
    inputs = [*read, *(path.with_name("config.json") for path in read)]
    code = code_digest("workflow_scripts.draw_curves")
    for path in figure:
        write_sidecar(path, settings={}, inputs=inputs, code=code)


if __name__ == "__main__":
    main()
