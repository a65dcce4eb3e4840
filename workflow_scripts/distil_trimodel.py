"""From a folder of labelled videos to a student of a teacher and an assistant, in one process (seed 002)."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidkd.config.data import DataSettings
from vidkd.config.options import PATH, command, settings_options
from vidkd.engine.logging import setup_logging
from vidkd.methods.trimodel.notebook.config import DistillationRun
from vidkd.methods.trimodel.notebook.trainer import train_tri_model_distillation


@command
@settings_options(DistillationRun)
@click.option("--dataset-root", type=PATH, default="processed_dataset", help="Folder of the data set.")
@click.option("--frames", type=click.IntRange(min=1), default=16, help="Frames of a clip.")
@click.option(
    "--max-excluded", type=click.FloatRange(0, 1), default=0.01, help="Share of videos that may be broken."
)
def main(settings: DistillationRun, dataset_root: Path, frames: int, max_excluded: float) -> None:
    """Train and measure a student; print its figures."""
    setup_logging()
    values = {name: getattr(settings, name) for name in DistillationRun.model_fields}
    layout = {"adapter": "csv", "annotations": ".", "max_excluded": max_excluded}
    data = DataSettings.model_validate(layout)
    _, _, results = train_tri_model_distillation(dataset_root, frames, data, **values)
    click.echo(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
