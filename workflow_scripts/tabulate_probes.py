"""The table of heads on the features of frozen networks, and the figures of each run."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.config.probes import ProbeTableSettings
from vidkd.evaluate.probes import tabulate
from vidkd.provenance import code_digest, write_sidecar


@command
@settings_options(ProbeTableSettings)
@click.option("--table", type=PATH, required=True, help="The table to write, CSV.")
@click.argument("predictions", nargs=-1, required=True, type=INPUT)
def main(settings: ProbeTableSettings, table: Path, predictions: tuple[Path, ...]) -> None:
    """Tabulate the runs of PREDICTIONS; metrics.json is written beside each."""
    tabulate(predictions, settings, table)
    code = code_digest("workflow_scripts.tabulate_probes")
    write_sidecar(table, settings=settings, inputs=predictions, code=code)
    for path in predictions:
        inputs = [path, path.with_name("config.json")]
        write_sidecar(path.with_name("metrics.json"), settings=settings, inputs=inputs, code=code)


if __name__ == "__main__":
    main()
