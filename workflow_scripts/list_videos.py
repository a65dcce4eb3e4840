"""List the videos of a data set, in shards, and its class names."""

from __future__ import annotations

import os
from pathlib import Path

import click

from vidkd.artefacts import write_sidecar
from vidkd.config.data import DataSettings
from vidkd.config.options import PATH, command, settings_options
from vidkd.data.adapters.registry import ADAPTERS, write_listing
from vidkd.lazy import module_of
from vidkd.provenance import code_digest


@command
@settings_options(DataSettings, exclude=("root", "annotations"))
@click.option("--root", type=PATH, help="Folder of the videos. Default: the setting `root`.")
@click.option(
    "--annotations",
    type=PATH,
    help="Folder of the split files. Default: the setting `annotations`, from `root`.",
)
@click.option("--shards", type=PATH, required=True, help="Folder of shard_<k>.csv.")
@click.option("--classes", type=PATH, required=True, help="The class names, JSON.")
def main(
    settings: DataSettings, root: Path | None, annotations: Path | None, shards: Path, classes: Path
) -> None:
    """List the videos of a data set in shards."""
    root = root or Path(settings.root)
    annotations = annotations or Path(os.path.normpath(root / settings.annotations))
    summary = write_listing(settings, root, annotations, shards, classes)
    code = code_digest("workflow_scripts.list_videos", module_of(ADAPTERS[settings.adapter]))
    source = annotations if annotations.exists() else root  # folders of classes need no annotations
    for artefact in [classes, *(shards / f"shard_{k}.csv" for k in range(settings.n_shards))]:
        write_sidecar(artefact, settings=settings, inputs=[source], code=code)
    click.echo(summary, err=True)


if __name__ == "__main__":
    main()
