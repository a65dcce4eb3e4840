"""Put a trained fusion head, its converters and its student into one folder that predicts videos."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.backbones.registry import module_of
from vidkd.config.backbones import BackboneSettings
from vidkd.config.data import FrameSettings
from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.engine.logging import setup_logging
from vidkd.methods.fusion.bundle import CONFIG
from vidkd.methods.fusion.export import export_bundle
from vidkd.named import named_files
from vidkd.provenance import code_digest, write_sidecar


@command
@settings_options(BackboneSettings)
@click.option("--weights", type=INPUT, required=True, help="The head: model.safetensors of train_fusion.")
@click.option("--converter", multiple=True, metavar="TEACHER=FILE", help="model.safetensors of a converter.")
@click.option("--frame-settings", default="{}", metavar="JSON", help="Which frames of a video were kept.")
@click.option("--output", type=PATH, required=True, help="Folder of the bundle.")
def main(
    settings: BackboneSettings, weights: Path, converter: tuple[str, ...], frame_settings: str, output: Path
) -> None:
    """Export a head; the settings are those of the student."""
    setup_logging()
    frames = FrameSettings.model_validate_json(frame_settings)
    read = export_bundle(weights, named_files(converter, "--converter"), settings, frames, output)
    code = code_digest("workflow_scripts.export_fusion", module_of(settings.kind))
    write_sidecar(output / CONFIG, settings=settings, inputs=read, code=code, frames=frames)


if __name__ == "__main__":
    main()
