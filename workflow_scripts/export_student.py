"""Put a trained student into one folder, with ONNX, that predicts videos."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.data import FrameSettings
from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.engine.logging import setup_logging
from vidkd.methods.student.export import CONFIG, export_student
from vidkd.provenance import code_digest, write_sidecar


@command
@settings_options(FrameSettings)
@click.option("--weights", type=INPUT, required=True, help="model.safetensors of train_student.")
@click.option("--output", type=PATH, required=True, help="Folder to write.")
def main(settings: FrameSettings, weights: Path, output: Path) -> None:
    """Export a student; the settings say which frames of a video were kept."""
    setup_logging()
    export_student(weights, settings, output)
    inputs = [weights, weights.with_name("config.json")]
    code = code_digest("workflow_scripts.export_student")
    write_sidecar(output / CONFIG, settings=settings, inputs=inputs, code=code)


if __name__ == "__main__":
    main()
