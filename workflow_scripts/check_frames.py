"""List every excluded video, and stop when too few remain."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.artefacts import write_sidecar
from vidkd.config.data import DataSettings
from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.data.excluded import frame_stores, join_excluded
from vidkd.engine.logging import setup_logging
from vidkd.provenance import code_digest


@command
@settings_options(DataSettings)
@click.option("--manifest", type=INPUT, required=True, help="All videos, CSV.")
@click.option("--probes", type=PATH, required=True, help="Folder of the probed shards.")
@click.option("--frames", type=PATH, required=True, help="Folder of the frame stores of all splits.")
@click.option("--classes", type=INPUT, required=True, help="Class names, JSON.")
@click.option("--excluded", type=PATH, required=True, help="Every excluded video, CSV.")
def main(
    settings: DataSettings, manifest: Path, probes: Path, frames: Path, classes: Path, excluded: Path
) -> None:
    """Check the frame stores of all splits."""
    setup_logging()
    census = join_excluded(manifest, probes, frames, classes, excluded, settings)
    inputs = [manifest, classes, *frame_stores(frames, settings.n_shards)]
    code = code_digest("workflow_scripts.check_frames")
    write_sidecar(excluded, settings=settings, inputs=inputs, code=code)
    click.echo(census.summary(), err=True)


if __name__ == "__main__":
    main()
