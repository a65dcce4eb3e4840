"""Measure what a clip costs the networks of a method."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidkd import lazy
from vidkd.artefacts import write_sidecar
from vidkd.config.options import PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.evaluate.cost import measure, write_rows
from vidkd.methods.cli import method_argument, needs_options
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.provenance import code_digest
from vidkd.registry import find_method


@command
@needs_options
@click.option("--settings", default="{}", metavar="JSON", help="What the measurement depends on.")
@click.option("--rounds", type=click.IntRange(min=2), default=30, help="How often each is timed.")
@click.option("--output", type=PATH, required=True, help="Table of costs, CSV.")
@method_argument("MEASURE")
def main(method: str, needs: Needs, settings: str, rounds: int, output: Path) -> None:
    """Time one clip through each network of METHOD, in turn, on one thread and on two."""
    setup_logging()
    inputs, entry, values = Inputs(needs), find_method(method).MEASURE, json.loads(settings)
    write_rows(measure(lazy.load(entry)(inputs, values), rounds), output)
    code = code_digest("workflow_scripts.measure", lazy.module_of(entry))
    write_sidecar(
        output, settings={"rounds": rounds, **values}, inputs=inputs.files, code=code, method=method
    )


if __name__ == "__main__":
    main()
