"""Train one variant of FFN or TSM; by hand, with the options of seed 004 (`--num-frames-h`, …)."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidkd.config.ffn import FFNSettings
from vidkd.config.options import command, settings_options
from vidkd.data.frames import find_shards
from vidkd.engine.logging import setup_logging
from vidkd.errors import UserError
from vidkd.methods.ffn.predict import accuracies
from vidkd.methods.ffn.train import RUN_FILES, train, with_seed_counts
from vidkd.provenance import code_digest, stamp, write_sidecar

FOLDER = click.Path(path_type=Path)


@command
@settings_options(FFNSettings)
@click.option(
    "--train",
    "train_on",
    type=FOLDER,
    multiple=True,
    default=["results/frames/train"],
    help="Frame stores to train on: files or folders.",
)
@click.option(
    "--val",
    type=FOLDER,
    multiple=True,
    default=["results/frames/val"],
    help="Frame stores that choose the best epoch.",
)
@click.option("--classes", type=FOLDER, default="results/data/classes.json", help="Class names, JSON.")
@click.option("--run-dir", type=FOLDER, default="results/ffn/by_hand/seed0", help="Folder of the run.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, help="Seed of weights, order and augmentation."
)
@click.option(
    "--workers", type=click.IntRange(min=0), default=0, help="Loader processes; no effect on the result."
)
@click.option("--init", type=FOLDER, help="Weights of the variant that `init_from` names.")
@click.option(
    "--num-frames-h", type=click.IntRange(min=1), help="High frame count (with -m and -l: --frame-counts)."
)
@click.option("--num-frames-m", type=click.IntRange(min=1), help="Medium frame count.")
@click.option("--num-frames-l", type=click.IntRange(min=1), help="Low frame count.")
@click.option("--test-run", is_flag=True, help="One epoch of two batches, to see that everything works.")
@click.option("--eval-only", is_flag=True, help="No training: accuracy of the weights in --resume on --val.")
@click.option(
    "--resume",
    type=FOLDER,
    help="Weights (.safetensors) to start from or to evaluate. A stopped run goes on by itself.",
)
def main(
    settings: FFNSettings,
    train_on: tuple[Path, ...],
    val: tuple[Path, ...],
    classes: Path,
    run_dir: Path,
    seed: int,
    workers: int,
    init: Path | None,
    num_frames_h: int | None,
    num_frames_m: int | None,
    num_frames_l: int | None,
    test_run: bool,
    eval_only: bool,
    resume: Path | None,
) -> None:
    """Train one variant of FFN or TSM."""
    setup_logging()
    if eval_only:
        if resume is None:
            raise UserError("--eval-only needs --resume CKPT: the weights to evaluate.")
        click.echo(json.dumps(accuracies(resume, find_shards(val), settings.frame_counts, workers), indent=2))
        return
    settings = with_seed_counts(settings, num_frames_l, num_frames_m, num_frames_h)
    shards, val_shards, start = find_shards(train_on), find_shards(val), init or resume
    inputs = [*shards, *val_shards, classes, *([start] if start else [])]
    code = code_digest("workflow_scripts.train_ffn")
    if test_run:
        settings = settings.model_copy(update={"epochs": 1})
    train(
        settings,
        classes,
        shards,
        val_shards,
        run_dir,
        seed=seed,
        stamp=stamp(settings, inputs, code, seed),
        workers=workers,
        init_from=start,
        max_batches=2 if test_run else None,
    )
    for name in RUN_FILES:
        write_sidecar(run_dir / name, settings=settings, inputs=inputs, code=code, seed=seed)


if __name__ == "__main__":
    main()
