"""Join the probed shards into the manifest, and stop when the data set is not fit to be used."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.artefacts import write_sidecar
from vidkd.config.data import DataSettings
from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.data.manifest import build_manifest
from vidkd.data.tables import shard_files
from vidkd.engine.logging import setup_logging
from vidkd.provenance import code_digest


@command
@settings_options(DataSettings)
@click.option("--probes", type=PATH, required=True, help="Folder of the probed shards, shard_<k>.csv.")
@click.option("--classes", type=INPUT, required=True, help="The class names, JSON.")
@click.option("--manifest", type=PATH, required=True, help="All videos, CSV.")
def main(settings: DataSettings, probes: Path, classes: Path, manifest: Path) -> None:
    """Join the probed shards of a folder into the manifest."""
    setup_logging()
    census = build_manifest(probes, classes, manifest, settings)
    inputs = [*shard_files(probes, settings.n_shards), classes]
    code = code_digest("workflow_scripts.build_manifest")
    write_sidecar(manifest, settings=settings, inputs=inputs, code=code)
    click.echo(census.summary(), err=True)


if __name__ == "__main__":
    main()
