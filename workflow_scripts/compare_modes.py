"""Compare what a bundle says of videos with what its head says of cached features."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import click

from vidkd.backbones.registry import module_of
from vidkd.config.options import PATH, command
from vidkd.data.frames import find_shards
from vidkd.engine.logging import setup_logging
from vidkd.features.store import find_feature_shards
from vidkd.methods.fusion.bundle import CONFIG, bundle_config
from vidkd.methods.fusion.modes import compare_modes
from vidkd.named import named_places
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--bundle", type=PATH, required=True, help="Folder that export_fusion wrote.")
@click.option("--train-run", type=PATH, required=True, help="Folder of the run that it was exported from.")
@click.option("--frames-store", type=PATH, multiple=True, required=True, help="Frames of the test split.")
@click.option("--test", multiple=True, metavar="NAME=FILE", help="Its cached features, of every input.")
@click.option("--output", type=PATH, required=True, help="Table of one row, CSV.")
def main(
    bundle: Path, train_run: Path, frames_store: tuple[Path, ...], test: tuple[str, ...], output: Path
) -> None:
    """Compare both modes on the test split; places are files, or folders of them."""
    setup_logging()
    frames = find_shards(frames_store)
    caches = {name: find_feature_shards(places) for name, places in named_places(test, "--test").items()}
    compare_modes(bundle, train_run, caches, frames, output)
    kind = bundle_config(bundle)["backbone"]["kind"]
    code = code_digest("workflow_scripts.compare_modes", module_of(kind))
    read = [bundle / CONFIG, train_run / "model.safetensors", *frames, *chain.from_iterable(caches.values())]
    write_sidecar(output, settings={}, inputs=read, code=code)


if __name__ == "__main__":
    main()
