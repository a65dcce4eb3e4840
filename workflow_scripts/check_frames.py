"""List every excluded video, and stop when too few remain."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.data import DataSettings
from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.data.excluded import join_excluded
from vidkd.engine.logging import setup_logging
from vidkd.provenance import code_digest, write_sidecar


@command
@settings_options(DataSettings)
@click.option("--manifest", type=INPUT, required=True, help="All videos, CSV.")
@click.option("--probed", type=INPUT, required=True, help="Videos that the probe excluded, CSV.")
@click.option("--classes", type=INPUT, required=True, help="Class names, JSON.")
@click.option("--excluded", type=PATH, required=True, help="Every excluded video, CSV.")
@click.argument("stores", nargs=-1, required=True, type=INPUT)
def main(
    settings: DataSettings,
    manifest: Path,
    probed: Path,
    classes: Path,
    excluded: Path,
    stores: tuple[Path, ...],
) -> None:
    """Check the frame stores STORES of all splits."""
    setup_logging()
    count = join_excluded(manifest, probed, classes, stores, excluded, settings.max_excluded)
    code = code_digest("workflow_scripts.check_frames")
    write_sidecar(excluded, settings=settings, inputs=[manifest, probed, classes, *stores], code=code)
    click.echo(f"{count} videos excluded in all", err=True)


if __name__ == "__main__":
    main()
