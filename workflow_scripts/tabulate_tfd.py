"""The TFD table and the accuracy at every frame count, over all variants and seeds."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.evaluate.tfd import tabulate
from vidkd.methods.ffn.settings import TFDSettings
from vidkd.provenance import code_digest, write_sidecar


@command
@settings_options(TFDSettings)
@click.option("--tfd", type=PATH, required=True, help="Table over the reported frame counts, CSV.")
@click.option("--any-frame", type=PATH, required=True, help="Table over every frame count, CSV.")
@click.argument("metrics", nargs=-1, required=True, type=INPUT)
def main(settings: TFDSettings, tfd: Path, any_frame: Path, metrics: tuple[Path, ...]) -> None:
    """Tabulate the runs METRICS."""
    tabulate(metrics, settings, tfd, any_frame)
    code = code_digest("workflow_scripts.tabulate_tfd")
    for artefact in (tfd, any_frame):
        write_sidecar(artefact, settings=settings, inputs=metrics, code=code)


if __name__ == "__main__":
    main()
