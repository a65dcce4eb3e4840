"""Compute what a frozen backbone makes of one shard of frames, once for all trainings."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.artefacts import write_sidecar
from vidkd.backbones.extract import cache_shard
from vidkd.backbones.registry import module_of
from vidkd.config.backbones import BackboneSettings
from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.engine.logging import setup_logging
from vidkd.provenance import code_digest


@command
@settings_options(BackboneSettings)
@click.option("--backbone", required=True, help="Name of the backbone, for the cache to say.")
@click.option("--frames-store", type=INPUT, required=True, help="The shard of frames, HDF5.")
@click.option("--output", type=PATH, required=True, help="The shard of features, HDF5.")
@click.option("--batch", type=click.IntRange(min=1), default=8, help="Clips of a batch: as memory allows.")
@click.option("--workers", type=click.IntRange(min=0), default=1, help="Processes that read clips meanwhile.")
def main(
    settings: BackboneSettings, backbone: str, frames_store: Path, output: Path, batch: int, workers: int
) -> None:
    """Compute the features of one shard of frames."""
    setup_logging()
    read = cache_shard(frames_store, backbone, settings, output, batch, workers)
    code = code_digest("workflow_scripts.cache_features", module_of(settings.kind))
    write_sidecar(output, settings=settings, inputs=read, code=code)


if __name__ == "__main__":
    main()
