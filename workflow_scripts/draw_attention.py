"""Frames of a few clips, and the weight that a student gave to each."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.data.frames import find_shards
from vidkd.methods.student.attention import attended_clips
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.attention import draw_attention


@command
@click.option("--predictions", type=INPUT, required=True, help="Predictions of the student, CSV.")
@click.option("--config", type=INPUT, required=True, help="config.json of its run.")
@click.option(
    "--frames-store", type=PATH, multiple=True, required=True, help="Frame stores of the test split."
)
@click.option("--figure", type=PATH, multiple=True, required=True, help="Figure to write, SVG or PNG.")
def main(predictions: Path, config: Path, frames_store: tuple[Path, ...], figure: tuple[Path, ...]) -> None:
    """Draw the first clip of each class."""
    shards = find_shards(frames_store)
    draw_attention(attended_clips(predictions, config, shards), figure)
    code = code_digest("workflow_scripts.draw_attention")
    for path in figure:
        write_sidecar(path, settings={}, inputs=[predictions, config, *shards], code=code)


if __name__ == "__main__":
    main()
