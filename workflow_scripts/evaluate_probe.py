"""Figures of one head on the features of a frozen network."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.evaluate.probes import evaluate_probe
from vidkd.methods.probes.settings import ProbeEvaluationSettings
from vidkd.provenance import code_digest, write_sidecar


@command
@settings_options(ProbeEvaluationSettings)
@click.option("--predictions", type=INPUT, required=True, help="Its predictions, CSV.")
@click.option("--config", type=INPUT, required=True, help="What it is, JSON.")
@click.option("--metrics", type=PATH, required=True, help="The figures to write, JSON.")
def main(settings: ProbeEvaluationSettings, predictions: Path, config: Path, metrics: Path) -> None:
    """Evaluate the predictions of one head."""
    evaluate_probe(predictions, config, metrics, settings.pairs)
    code = code_digest("workflow_scripts.evaluate_probe")
    write_sidecar(metrics, settings=settings, inputs=[predictions, config], code=code)


if __name__ == "__main__":
    main()
