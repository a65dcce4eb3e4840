"""Join the probed shards into the manifest, and stop when the data set is not fit to be used."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.data import DataSettings
from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.data.manifest import build_manifest
from vidkd.engine.logging import setup_logging
from vidkd.provenance import code_digest, write_sidecar


@command
@settings_options(DataSettings)
@click.option("--classes", type=INPUT, required=True, help="The class names, JSON.")
@click.option("--manifest", type=PATH, required=True, help="All videos, CSV.")
@click.option("--excluded", type=PATH, required=True, help="The excluded videos, CSV.")
@click.argument("probes", nargs=-1, required=True, type=INPUT)
def main(
    settings: DataSettings, classes: Path, manifest: Path, excluded: Path, probes: tuple[Path, ...]
) -> None:
    """Join the probed shards PROBES into the manifest."""
    setup_logging()
    usable, lost = build_manifest(probes, classes, manifest, excluded, settings.max_excluded)
    code = code_digest("workflow_scripts.build_manifest")
    for artefact in (manifest, excluded):
        write_sidecar(artefact, settings=settings, inputs=[*probes, classes], code=code)
    click.echo(f"{usable} videos usable, {lost} excluded", err=True)


if __name__ == "__main__":
    main()
