"""Confusion matrices of the variants of a method."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.data.tables import read_classes
from vidkd.named import named_files
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.confusion import draw_confusion


@command
@click.option("--classes", type=INPUT, required=True, help="Class names, JSON.")
@click.option("--figure", type=PATH, multiple=True, required=True, help="Figure to write, .svg or .png.")
@click.argument("predictions", metavar="VARIANT=PREDICTIONS...", nargs=-1, required=True)
def main(predictions: tuple[str, ...], classes: Path, figure: tuple[Path, ...]) -> None:
    """Draw a matrix for each of these predictions.csv."""
    files = named_files(predictions, "PREDICTIONS")
    draw_confusion(files, read_classes(classes), figure)
    code = code_digest("workflow_scripts.draw_confusion")
    for path in figure:
        write_sidecar(path, settings={}, inputs=[*files.values(), classes], code=code)


if __name__ == "__main__":
    main()
