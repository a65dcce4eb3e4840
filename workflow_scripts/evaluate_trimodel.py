"""Figures of one student of a teacher and an assistant from its predictions."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.evaluate.trimodel import evaluate_trimodel
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--predictions", type=INPUT, required=True, help="Predictions on the test split, CSV.")
@click.option("--config", type=INPUT, required=True, help="config.json of the run.")
@click.option("--history", type=INPUT, required=True, help="history.csv of the run.")
@click.option("--efficiency", type=INPUT, required=True, help="Parameters and GFLOPs, JSON.")
@click.option("--normal", help="Class of what is nothing special, for the precision of all others.")
@click.option("--metrics", type=PATH, required=True, help="The figures to write, JSON.")
def main(
    predictions: Path, config: Path, history: Path, efficiency: Path, normal: str | None, metrics: Path
) -> None:
    """Evaluate one run."""
    evaluate_trimodel(predictions, config, history, efficiency, normal, metrics)
    inputs = [predictions, config, history, efficiency]
    code = code_digest("workflow_scripts.evaluate_trimodel")
    write_sidecar(metrics, settings={"normal": normal}, inputs=inputs, code=code)


if __name__ == "__main__":
    main()
