"""Figures of one run of a method on the test split."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidkd import lazy
from vidkd.artefacts import write_sidecar
from vidkd.config.options import PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.methods.cli import method_argument, needs_options
from vidkd.methods.evaluate import evaluate
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.provenance import code_digest
from vidkd.registry import find_method


@command
@needs_options
@click.option("--settings", default="{}", metavar="JSON", help="What figures depend on beside predictions.")
@click.option("--run", required=True, help="Name of the run.")
@click.option("--seed", type=int, required=True, help="Seed of the run.")
@click.option("--metrics", type=PATH, required=True, help="Figures of the run, JSON.")
@method_argument("TRAIN")
def main(method: str, needs: Needs, settings: str, run: str, seed: int, metrics: Path) -> None:
    """Evaluate one run of METHOD."""
    setup_logging()
    inputs, values = Inputs(needs), json.loads(settings)
    evaluate(method, run, seed, inputs, values, metrics)
    entry = find_method(method).EVALUATE
    code = code_digest("workflow_scripts.evaluate", *([lazy.module_of(entry)] if entry else []))
    about = {"seed": seed, "method": method, "run": run}
    write_sidecar(metrics, settings=values, inputs=inputs.files, code=code, **about)


if __name__ == "__main__":
    main()
