"""Run a trained student on the test split, beside its teacher and its assistant."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.data.frames import find_shards
from vidkd.engine.logging import setup_logging
from vidkd.methods.trimodel.predict import predict
from vidkd.methods.trimodel.settings import ASSISTANT, TEACHER
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--test", type=PATH, multiple=True, required=True, help="Frame stores: files or folders.")
@click.option("--labels", type=INPUT, required=True, help="Label of each video: CSV of list_labels.")
@click.option("--teacher", type=INPUT, required=True, help="predictions.csv of the teacher's head.")
@click.option("--assistant", type=INPUT, required=True, help="predictions.csv of the assistant's head.")
@click.option("--predictions", type=PATH, required=True, help="Predictions, CSV: one row per clip.")
@click.option("--efficiency", type=PATH, required=True, help="Parameters and GFLOPs, JSON.")
@click.option("--workers", type=click.IntRange(min=0), default=0, help="Loader processes.")
@click.argument("weights", type=INPUT)
def main(
    weights: Path,
    test: tuple[Path, ...],
    labels: Path,
    teacher: Path,
    assistant: Path,
    predictions: Path,
    efficiency: Path,
    workers: int,
) -> None:
    """Predict the test split with WEIGHTS, model.safetensors of train_trimodel."""
    setup_logging()
    shards, heads = find_shards(test), {TEACHER: teacher, ASSISTANT: assistant}
    predict(weights, shards, labels, heads, predictions, efficiency, workers)
    inputs = [weights, *shards, labels, teacher, assistant]
    code = code_digest("workflow_scripts.predict_trimodel")
    for artefact in (predictions, efficiency):
        write_sidecar(artefact, settings={}, inputs=inputs, code=code)


if __name__ == "__main__":
    main()
