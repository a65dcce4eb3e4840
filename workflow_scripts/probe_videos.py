"""Probe the videos of one shard: count their frames, and find those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.artefacts import write_sidecar
from vidkd.config.options import INPUT, PATH, command
from vidkd.data.probe import probe_shard
from vidkd.engine.logging import setup_logging
from vidkd.provenance import code_digest


@command
@click.option("--videos", type=INPUT, required=True, help="shard_<k>.csv of list_videos.")
@click.option("--classes", type=INPUT, required=True, help="The class names, JSON.")
@click.option("--shard", type=int, required=True, help="Its number.")
@click.option("--root", type=PATH, required=True, help="Folder of the videos.")
@click.option("--output", type=PATH, required=True, help="The probed shard, CSV.")
def main(videos: Path, classes: Path, shard: int, root: Path, output: Path) -> None:
    """Probe the videos of one shard."""
    setup_logging()
    usable, excluded = probe_shard(videos, classes, shard, root, output)
    code = code_digest("workflow_scripts.probe_videos")
    write_sidecar(output, settings={}, inputs=[videos, classes], code=code)
    click.echo(f"{usable} videos usable, {excluded} excluded", err=True)


if __name__ == "__main__":
    main()
