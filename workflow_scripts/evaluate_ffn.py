"""Figures of one run from its predictions."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.evaluate.run import evaluate_run
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--predictions", type=INPUT, required=True, help="Predictions, CSV.")
@click.option("--efficiency", type=INPUT, required=True, help="Parameters and GFLOPs, JSON.")
@click.option("--metrics", type=PATH, required=True, help="Figures of the run, JSON.")
@click.option("--variant", required=True, help="Name of the variant.")
@click.option("--seed", type=int, required=True, help="Seed of the run.")
def main(predictions: Path, efficiency: Path, metrics: Path, variant: str, seed: int) -> None:
    """Evaluate one run."""
    evaluate_run(predictions, efficiency, metrics, variant, seed)
    code = code_digest("workflow_scripts.evaluate_ffn")
    write_sidecar(
        metrics, settings={"variant": variant}, inputs=[predictions, efficiency], code=code, seed=seed
    )


if __name__ == "__main__":
    main()
