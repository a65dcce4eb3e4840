"""Measure what a clip costs each network of FFN."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.methods.ffn.latency import measure_networks
from vidkd.named import named_places
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--frames", type=click.IntRange(min=1), default=16, help="Of the clip.")
@click.option("--output", type=PATH, required=True, help="Table of costs, CSV.")
@click.option("--rounds", type=click.IntRange(min=2), default=30, help="How often each is timed.")
@click.argument("variants", metavar="VARIANT=FILE...", nargs=-1, required=True)
def main(variants: tuple[str, ...], frames: int, output: Path, rounds: int) -> None:
    """Time one clip through each model.safetensors, in turn, on one thread and on two.

    A VARIANT that is given several times is an ensemble of these networks.
    """
    setup_logging()
    files = named_places(variants, "VARIANTS")
    measure_networks(files, frames, output, rounds)
    inputs = [file for members in files.values() for file in members]
    code = code_digest("workflow_scripts.measure_ffn")
    write_sidecar(output, settings={"frames": frames, "rounds": rounds}, inputs=inputs, code=code)


if __name__ == "__main__":
    main()
