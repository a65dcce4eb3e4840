"""A contact sheet of test clips."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.data.frames import find_shards
from vidkd.data.tables import read_classes
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.clips import draw_clips


@command
@click.option("--classes", type=INPUT, required=True, help="Class names, JSON.")
@click.option(
    "--frames-store", type=PATH, multiple=True, required=True, help="Frame stores of the test split."
)
@click.option("--figure", type=PATH, multiple=True, required=True, help="Figure to write, .svg or .png.")
def main(classes: Path, frames_store: tuple[Path, ...], figure: tuple[Path, ...]) -> None:
    """Draw a few clips, as many of each class as can be."""
    shards = find_shards(frames_store)
    draw_clips(shards, read_classes(classes), figure)
    code = code_digest("workflow_scripts.draw_clips")
    for path in figure:
        write_sidecar(path, settings={}, inputs=[classes, *shards], code=code)


if __name__ == "__main__":
    main()
