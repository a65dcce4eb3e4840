"""Measure what an exported bundle takes a clip, beside the teachers that it does without."""

from __future__ import annotations

from pathlib import Path

import click
from pydantic import TypeAdapter

from vidkd.backbones.registry import module_of
from vidkd.config.backbones import BackboneSettings
from vidkd.config.options import PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.methods.fusion.bundle import CONFIG, load_bundle
from vidkd.methods.fusion.latency import measure
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--bundle", type=PATH, required=True, help="Folder that export_fusion wrote.")
@click.option("--teachers", default="{}", metavar="JSON", help="Settings of backbones, by name.")
@click.option("--output", type=PATH, required=True, help="Table of times and parameters, CSV.")
@click.option("--threads", type=click.IntRange(min=1), default=1, help="Threads on a CPU.")
@click.option("--rounds", type=click.IntRange(min=2), default=30, help="How often each part is timed.")
def main(bundle: Path, teachers: str, output: Path, threads: int, rounds: int) -> None:
    """Time one clip through every part, in turn."""
    setup_logging()
    settings = TypeAdapter(dict[str, BackboneSettings]).validate_json(teachers)
    loaded = load_bundle(bundle, batch=1)
    measure(loaded, settings, output, threads, rounds)
    kinds = {loaded.student.settings.kind, *(of.kind for of in settings.values())}
    code = code_digest("workflow_scripts.measure_fusion", *map(module_of, sorted(kinds)))
    write_sidecar(
        output, settings={"threads": threads, "rounds": rounds}, inputs=[bundle / CONFIG], code=code
    )


if __name__ == "__main__":
    main()
