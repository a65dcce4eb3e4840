"""Make the head of a frozen network that teaches, measure it, and judge whether it may teach."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.artefacts import write_sidecar
from vidkd.config.options import PATH, command, settings_options
from vidkd.config.teacher import TeacherSettings
from vidkd.engine.logging import setup_logging
from vidkd.methods.cli import needs_options
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.methods.teacher import FILES, fit_teacher
from vidkd.provenance import code_digest


@command
@settings_options(TeacherSettings, exclude=("class_names",))
@needs_options
@click.option("--run-dir", type=PATH, required=True, help="Folder to write into.")
def main(settings: TeacherSettings, needs: Needs, run_dir: Path) -> None:
    """Fit the head on cached features of the network, for a label."""
    setup_logging()
    inputs = Inputs(needs)
    fit_teacher(settings, inputs, run_dir)
    code = code_digest("workflow_scripts.fit_teacher")
    for name in FILES:
        write_sidecar(run_dir / name, settings=settings, inputs=inputs.files, code=code, needs=needs)


if __name__ == "__main__":
    main()
