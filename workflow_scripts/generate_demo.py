"""Write the videos of one split of the demo, and the table that names them."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.artefacts import write_sidecar
from vidkd.config.data import SPLITS, DemoSettings
from vidkd.config.options import PATH, command, settings_options
from vidkd.data.demo import generate_split
from vidkd.engine.logging import setup_logging
from vidkd.provenance import code_digest


@command
@settings_options(DemoSettings)
@click.option("--split", type=click.Choice(SPLITS), required=True, help="Which split.")
@click.option("--folder", type=PATH, required=True, help="Where the videos go.")
@click.option("--annotation", type=PATH, required=True, help="The table (csv).")
def main(settings: DemoSettings, split: str, folder: Path, annotation: Path) -> None:
    """Generate the procedural videos of one split of the demo."""
    setup_logging()
    generate_split(settings, split, folder, annotation)
    write_sidecar(
        annotation,
        settings=settings,
        inputs=[],
        code=code_digest("workflow_scripts.generate_demo"),
        seed=settings.seed,
    )


if __name__ == "__main__":
    main()
