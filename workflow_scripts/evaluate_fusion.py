"""Figures of one fusion head."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.evaluate.fusion import evaluate_fusion
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--predictions", type=INPUT, required=True, help="Its predictions, CSV.")
@click.option("--config", type=INPUT, required=True, help="What it is, JSON.")
@click.option("--metrics", type=PATH, required=True, help="The figures to write, JSON.")
def main(predictions: Path, config: Path, metrics: Path) -> None:
    """Evaluate the predictions of one fusion head."""
    evaluate_fusion(predictions, config, metrics)
    code = code_digest("workflow_scripts.evaluate_fusion")
    write_sidecar(metrics, settings={}, inputs=[predictions, config], code=code)


if __name__ == "__main__":
    main()
