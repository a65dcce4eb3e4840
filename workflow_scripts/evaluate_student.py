"""Figures of one student from its predictions."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.evaluate.student import evaluate_student
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--predictions", type=INPUT, required=True, help="Predictions on the test split, CSV.")
@click.option("--config", type=INPUT, required=True, help="config.json of the run.")
@click.option("--efficiency", type=INPUT, required=True, help="Parameters and GFLOPs, JSON.")
@click.option("--metrics", type=PATH, required=True, help="The figures to write, JSON.")
def main(predictions: Path, config: Path, efficiency: Path, metrics: Path) -> None:
    """Evaluate one run."""
    evaluate_student(predictions, config, efficiency, metrics)
    inputs = [predictions, config, efficiency]
    write_sidecar(metrics, settings={}, inputs=inputs, code=code_digest("workflow_scripts.evaluate_student"))


if __name__ == "__main__":
    main()
