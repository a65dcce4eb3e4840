"""Run a trained network, or an ensemble of them, on the test split at every frame count."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import PATH, command, settings_options
from vidkd.data.frames import find_shards
from vidkd.engine.logging import setup_logging
from vidkd.methods.ffn.predict import predict
from vidkd.methods.ffn.settings import PredictSettings
from vidkd.provenance import code_digest, write_sidecar


@command
@settings_options(PredictSettings)
@click.option("--test", type=PATH, multiple=True, required=True, help="Frame stores: files or folders.")
@click.option("--predictions", type=PATH, required=True, help="Predictions, CSV: one row per clip.")
@click.option("--efficiency", type=PATH, required=True, help="Parameters and GFLOPs, JSON.")
@click.option("--workers", type=click.IntRange(min=0), default=0, help="Loader processes.")
@click.argument("weights", nargs=-1, required=True, type=PATH)
def main(
    settings: PredictSettings,
    weights: tuple[Path, ...],
    test: tuple[Path, ...],
    predictions: Path,
    efficiency: Path,
    workers: int,
) -> None:
    """Predict the test split with WEIGHTS; several networks are an ensemble."""
    setup_logging()
    shards = find_shards(test)
    predict(list(weights), shards, predictions, efficiency, settings, workers)
    code = code_digest("workflow_scripts.predict_ffn")
    for artefact in (predictions, efficiency):
        write_sidecar(artefact, settings=settings, inputs=[*weights, *shards], code=code)


if __name__ == "__main__":
    main()
