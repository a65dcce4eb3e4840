"""Train a small network of a library's own class on the source videos, in place of one of a hub."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.artefacts import stamp, write_sidecar
from vidkd.backbones.pretrain.registry import module_of
from vidkd.backbones.pretrain.train import HISTORY, METRICS, NETWORK
from vidkd.backbones.pretrain.train import train as train_network
from vidkd.config.checkpoints import CheckpointSettings
from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.data.shards import find_shards
from vidkd.engine.logging import setup_logging
from vidkd.provenance import code_digest

_SEVERAL = {"multiple": True, "required": True}


@command
@settings_options(CheckpointSettings)
@click.option("--train", type=PATH, **_SEVERAL, help="Frame stores to train on.")
@click.option("--val", type=PATH, **_SEVERAL, help="Frame stores that choose the epoch.")
@click.option("--annotations", type=INPUT, **_SEVERAL, help="The tables that name these videos.")
@click.option("--classes", type=INPUT, required=True, help="Class names, JSON.")
@click.option("--run-dir", type=PATH, required=True, help="Folder of the run.")
@click.option("--workers", type=click.IntRange(min=0), default=0, help="Loader processes.")
def main(
    settings: CheckpointSettings,
    train: tuple[Path, ...],
    val: tuple[Path, ...],
    annotations: tuple[Path, ...],
    classes: Path,
    run_dir: Path,
    workers: int,
) -> None:
    """Train a small network; frame stores are files, or folders of them."""
    setup_logging()
    shards, val_shards = find_shards(train), find_shards(val)
    inputs = [*shards, *val_shards, *annotations, classes]
    code = code_digest("workflow_scripts.train_checkpoint", module_of(settings.kind))
    made = stamp(settings, inputs, code, settings.seed)
    train_network(settings, annotations, classes, shards, val_shards, run_dir, stamp=made, workers=workers)
    for artefact in [*(run_dir / NETWORK).iterdir(), run_dir / HISTORY, run_dir / METRICS]:
        write_sidecar(artefact, settings=settings, inputs=inputs, code=code, seed=settings.seed)


if __name__ == "__main__":
    main()
