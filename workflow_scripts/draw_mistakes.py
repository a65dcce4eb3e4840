"""Test clips that a network takes for another class."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.data.frames import find_shards
from vidkd.data.tables import read_classes
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.clips import draw_mistakes


@command
@click.option("--variant", required=True, help="Name of the variant.")
@click.option("--predictions", type=INPUT, required=True, help="Its predictions, CSV.")
@click.option("--classes", type=INPUT, required=True, help="Class names, JSON.")
@click.option(
    "--frames-store", type=PATH, multiple=True, required=True, help="Frame stores of the test split."
)
@click.option("--figure", type=PATH, multiple=True, required=True, help="Figure to write, .svg or .png.")
def main(
    variant: str, predictions: Path, classes: Path, frames_store: tuple[Path, ...], figure: tuple[Path, ...]
) -> None:
    """Draw its most confident mistakes."""
    shards = find_shards(frames_store)
    draw_mistakes(variant, predictions, shards, read_classes(classes), figure)
    code = code_digest("workflow_scripts.draw_mistakes")
    for path in figure:
        write_sidecar(path, settings={}, inputs=[predictions, classes, *shards], code=code)


if __name__ == "__main__":
    main()
