"""Put a trained run into one folder, with all that it needs to predict videos."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd import lazy
from vidkd.artefacts import write_sidecar
from vidkd.config.data import FrameSettings
from vidkd.config.options import PATH, command, settings_options
from vidkd.engine.logging import setup_logging
from vidkd.methods.cli import method_argument, needs_options
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.provenance import code_digest
from vidkd.registry import find_method


@command
@settings_options(FrameSettings)
@needs_options
@click.option("--output", type=PATH, required=True, help="Folder to write.")
@method_argument("EXPORT")
def main(method: str, settings: FrameSettings, needs: Needs, output: Path) -> None:
    """Export a run of METHOD; the settings say which frames of a video were kept."""
    setup_logging()
    inputs, entry = Inputs(needs), find_method(method).EXPORT
    lazy.load(entry)(inputs, settings, output)
    code = code_digest("workflow_scripts.export", lazy.module_of(entry))
    write_sidecar(output / "config.json", settings=settings, inputs=inputs.files, code=code, needs=needs)


if __name__ == "__main__":
    main()
