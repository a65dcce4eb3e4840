"""Measure what an exported bundle takes a clip, beside the teachers that it does without."""

from __future__ import annotations

from pathlib import Path

import click
from pydantic import TypeAdapter

from vidkd.backbones.registry import module_of
from vidkd.config.backbones import BackboneSettings
from vidkd.config.options import PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.methods.fusion.bundle import CONFIG, backbone_settings, bundle_config
from vidkd.methods.fusion.latency import measure_bundle
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--bundle", type=PATH, required=True, help="Folder that export_fusion wrote.")
@click.option("--teachers", default="{}", metavar="JSON", help="Settings of backbones, by name.")
@click.option("--output", type=PATH, required=True, help="Table of costs, CSV.")
@click.option("--rounds", type=click.IntRange(min=2), default=30, help="How often each part is timed.")
def main(bundle: Path, teachers: str, output: Path, rounds: int) -> None:
    """Time one clip through every part, in turn, on one thread and on two."""
    setup_logging()
    settings = TypeAdapter(dict[str, BackboneSettings]).validate_json(teachers)
    measure_bundle(bundle, settings, output, rounds)
    student = backbone_settings(bundle, bundle_config(bundle))
    kinds = {student.kind, *(of.kind for of in settings.values())}
    code = code_digest("workflow_scripts.measure_fusion", *map(module_of, sorted(kinds)))
    write_sidecar(output, settings={"rounds": rounds}, inputs=[bundle / CONFIG], code=code)


if __name__ == "__main__":
    main()
