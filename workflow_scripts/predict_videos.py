"""Predict the class of videos with an exported network."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from vidkd.config.options import PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.methods.fusion.bundle import load_bundle
from vidkd.methods.student.export import is_exported, load_exported
from vidkd.methods.videos import predict_videos, videos_of, write_predictions


@command
@click.option("--bundle", type=PATH, required=True, help="Folder of export_fusion or export_student.")
@click.option("--output", type=PATH, help="Predictions, CSV; without it they are printed.")
@click.option("--batch", type=click.IntRange(min=1), default=8, help="Videos of a batch: as memory allows.")
@click.argument("places", metavar="VIDEO_OR_FOLDER...", nargs=-1, required=True, type=PATH)
@click.pass_context
def main(ctx: click.Context, bundle: Path, output: Path | None, batch: int, places: tuple[Path, ...]) -> None:
    """Predict each VIDEO, and all videos at any depth below each FOLDER.

    Exit status: 0 all are predicted, 1 a video cannot be used and its row says why, 2 the command is wrong.
    """
    setup_logging()
    network = load_exported(bundle, batch) if is_exported(bundle) else load_bundle(bundle, batch)
    predictions = predict_videos(network, videos_of(places))
    ctx.exit(1 if write_predictions(predictions, output or sys.stdout) else 0)


if __name__ == "__main__":
    main()
