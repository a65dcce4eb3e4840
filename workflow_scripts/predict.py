"""Predict the test split with a run of a method."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidkd import lazy
from vidkd.artefacts import write_sidecar
from vidkd.config.options import PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.methods.base import Method
from vidkd.methods.cli import method_group, needs_options
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.methods.predict import predict
from vidkd.provenance import code_digest


def make(method: type[Method]) -> click.Command:
    """Predict the test split with a run of a METHOD."""

    @needs_options
    @click.option("--settings", default="{}", metavar="JSON", help="What predictions depend on.")
    @click.option("--run", default="by_hand", help="Name of the run, for the results to say.")
    @click.option("--predictions", type=PATH, required=True, help="Predictions, CSV: one row per clip.")
    @click.option("--efficiency", type=PATH, required=True, help="Parameters and GFLOPs, JSON.")
    @click.option("--workers", type=click.IntRange(min=0), default=0, help="Loader processes.")
    def main(
        needs: Needs, settings: str, run: str, predictions: Path, efficiency: Path, workers: int
    ) -> None:
        setup_logging()
        inputs, values = Inputs(needs), json.loads(settings)
        predict(method.NAME, inputs, values, predictions, efficiency, workers)
        code = code_digest("workflow_scripts.predict", lazy.module_of(method.PREDICT))
        for artefact in (predictions, efficiency):
            write_sidecar(artefact, settings=values, inputs=inputs.files, code=code, needs=needs, run=run)

    main.__doc__ = f"Predict the test split with a run of {method.NAME}."
    return command(main)


main = method_group(make, "PREDICT")

if __name__ == "__main__":
    main()
