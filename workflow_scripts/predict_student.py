"""Run a trained student on the test split, beside its teacher."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.data.frames import find_shards
from vidkd.engine.logging import setup_logging
from vidkd.features.store import find_feature_shards
from vidkd.methods.student.predict import predict
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--test", type=PATH, multiple=True, required=True, help="Frame stores: files or folders.")
@click.option("--labels", type=INPUT, required=True, help="Label of each video: CSV of list_labels.")
@click.option("--teacher-head", type=INPUT, required=True, help="model.safetensors of fit_teacher_head.")
@click.option(
    "--teacher-test", type=PATH, multiple=True, required=True, help="The teacher's cached features."
)
@click.option("--predictions", type=PATH, required=True, help="Predictions, CSV: one row per clip.")
@click.option("--efficiency", type=PATH, required=True, help="Parameters and GFLOPs, JSON.")
@click.option("--workers", type=click.IntRange(min=0), default=0, help="Loader processes.")
@click.argument("weights", type=INPUT)
def main(
    weights: Path,
    test: tuple[Path, ...],
    labels: Path,
    teacher_head: Path,
    teacher_test: tuple[Path, ...],
    predictions: Path,
    efficiency: Path,
    workers: int,
) -> None:
    """Predict the test split with WEIGHTS, model.safetensors of train_student."""
    setup_logging()
    shards, features = find_shards(test), find_feature_shards(list(teacher_test))
    predict(weights, shards, labels, teacher_head, features, predictions, efficiency, workers)
    inputs = [weights, *shards, labels, teacher_head, *features]
    code = code_digest("workflow_scripts.predict_student")
    for artefact in (predictions, efficiency):
        write_sidecar(artefact, settings={}, inputs=inputs, code=code)


if __name__ == "__main__":
    main()
