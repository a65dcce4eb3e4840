"""Train one variant of FFN or TSM; by hand, with the options of seed 004 (`--num-frames-h`, …)."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import PATH, command, settings_options
from vidkd.data.frames import find_shards
from vidkd.engine.logging import setup_logging
from vidkd.engine.run import RUN_FILES
from vidkd.methods.ffn.by_hand import seed_options
from vidkd.methods.ffn.settings import FFNSettings
from vidkd.methods.ffn.start import start_files
from vidkd.methods.ffn.train import train as train_ffn
from vidkd.provenance import code_digest, stamp, write_sidecar

NATURAL = click.IntRange(min=0)
FRAMES, RUN = "results/frames", "results/ffn/by_hand/seed0"


@command
@settings_options(FFNSettings)
@seed_options
@click.option(
    "--train", type=PATH, multiple=True, default=[f"{FRAMES}/train"], help="Frame stores to train on."
)
@click.option("--val", type=PATH, multiple=True, default=[f"{FRAMES}/val"], help="They choose the epoch.")
@click.option("--classes", type=PATH, default="results/data/classes.json", help="Class names, JSON.")
@click.option("--run-dir", type=PATH, default=RUN, help="Folder of the run.")
@click.option("--seed", type=NATURAL, default=0, help="Seed of weights, order and augmentation.")
@click.option("--workers", type=NATURAL, default=0, help="Loader processes; no effect on the result.")
@click.option("--init", type=PATH, help="Weights of the variant in `init_from`.")
def main(
    settings: FFNSettings,
    train: tuple[Path, ...],
    val: tuple[Path, ...],
    classes: Path,
    run_dir: Path,
    seed: int,
    workers: int,
    init: Path | None,
    max_batches: int | None,
) -> None:
    """Train one variant of FFN or TSM; frame stores are files, or folders of them."""
    setup_logging()
    shards, val_shards = find_shards(train), find_shards(val)
    inputs = [*shards, *val_shards, classes, *start_files(settings, init)]
    code = code_digest("workflow_scripts.train_ffn")
    run = {"seed": seed, "workers": workers, "init_from": init, "max_batches": max_batches}
    run["stamp"] = stamp(settings, inputs, f"{code} {max_batches}", seed)
    train_ffn(settings, classes, shards, val_shards, run_dir, **run)
    about = {"settings": settings, "inputs": inputs, "code": code, "seed": seed, "max_batches": max_batches}
    for name in RUN_FILES:
        write_sidecar(run_dir / name, **about)


if __name__ == "__main__":
    main()
