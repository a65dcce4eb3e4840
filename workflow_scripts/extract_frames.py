"""Extract the frames of one shard and split into a frame store."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.artefacts import write_sidecar
from vidkd.config.data import SPLITS, FrameSettings
from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.data.extract import extract_shard
from vidkd.engine.logging import setup_logging
from vidkd.provenance import code_digest


@command
@settings_options(FrameSettings)
@click.option("--probe", type=INPUT, required=True, help="The probed shard, CSV.")
@click.option("--split", type=click.Choice(SPLITS), required=True, help="Which split of it.")
@click.option("--root", type=PATH, required=True, help="Folder of the videos.")
@click.option("--output", type=PATH, required=True, help="The frame store, HDF5.")
def main(settings: FrameSettings, probe: Path, split: str, root: Path, output: Path) -> None:
    """Extract the frames of one shard and split."""
    setup_logging()
    extract_shard(probe, split, root, output, settings)
    write_sidecar(
        output, settings=settings, inputs=[probe], code=code_digest("workflow_scripts.extract_frames")
    )


if __name__ == "__main__":
    main()
