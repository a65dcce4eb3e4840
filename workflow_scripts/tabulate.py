"""Make a table of the runs of a method."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidkd import lazy
from vidkd.artefacts import write_sidecar
from vidkd.config.options import PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.files import atomic
from vidkd.methods.cli import needs_options
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.provenance import code_digest


@command
@needs_options
@click.option("--settings", default="{}", metavar="JSON", help="What the table depends on beside its files.")
@click.option("--table", type=PATH, required=True, help="The table to write, CSV.")
@click.argument("make", metavar="MODULE:FUNCTION")
def main(make: str, needs: Needs, settings: str, table: Path) -> None:
    """Tabulate with MODULE:FUNCTION of a method, or of the project."""
    setup_logging()
    inputs, values = Inputs(needs), json.loads(settings)
    found = lazy.load(make)(inputs, values)
    with atomic(table) as temporary:
        found.to_csv(temporary, index=False, float_format="%.4f")
    code = code_digest("workflow_scripts.tabulate", lazy.module_of(make))
    write_sidecar(table, settings=values, inputs=inputs.files, code=code)


if __name__ == "__main__":
    main()
