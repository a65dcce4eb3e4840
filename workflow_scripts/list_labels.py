"""List another label of the videos than the data set's own."""

from __future__ import annotations

import os
from pathlib import Path

import click

from vidkd.artefacts import write_sidecars
from vidkd.config.data import DataSettings
from vidkd.config.options import PATH, command, settings_options
from vidkd.data.adapters.registry import ADAPTERS
from vidkd.data.labels import write_labels
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
@click.option("--output", type=PATH, required=True, help="The label of each video, CSV.")
@click.option("--classes", type=PATH, required=True, help="Its class names, JSON.")
def main(
    settings: DataSettings, root: Path | None, annotations: Path | None, output: Path, classes: Path
) -> None:
    """List the label that the setting `label` names, of every video."""
    root = root or Path(settings.root)
    annotations = annotations or Path(os.path.normpath(root / settings.annotations))
    write_labels(settings, root, annotations, output, classes)
    code = code_digest("workflow_scripts.list_labels", module_of(ADAPTERS[settings.adapter]))
    write_sidecars((output, classes), settings=settings, inputs=[annotations], code=code)


if __name__ == "__main__":
    main()
