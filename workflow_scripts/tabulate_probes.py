"""The table of heads on the features of frozen networks."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.evaluate.probes import tabulate
from vidkd.methods.probes.settings import ProbeEvaluationSettings
from vidkd.provenance import code_digest, write_sidecar


@command
@settings_options(ProbeEvaluationSettings)
@click.option("--table", type=PATH, required=True, help="The table to write, CSV.")
@click.argument("metrics", nargs=-1, required=True, type=INPUT)
def main(settings: ProbeEvaluationSettings, table: Path, metrics: tuple[Path, ...]) -> None:
    """Tabulate the runs METRICS."""
    tabulate(metrics, settings.pairs, table)
    code = code_digest("workflow_scripts.tabulate_probes")
    write_sidecar(table, settings=settings, inputs=metrics, code=code)


if __name__ == "__main__":
    main()
