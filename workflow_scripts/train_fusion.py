"""Train a fusion head over features of a student and its teachers; by hand, with the options of seed 003."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import PATH, command, settings_options
from vidkd.engine.logging import setup_logging
from vidkd.engine.run import RUN_FILES
from vidkd.methods.fusion.by_hand import seed_options
from vidkd.methods.fusion.given import Given
from vidkd.methods.fusion.settings import FusionSettings
from vidkd.methods.fusion.train import train
from vidkd.provenance import code_digest, stamp, write_sidecar


@command
@settings_options(FusionSettings, exclude={"student", "teachers", "converter", "fusion"})
@click.option("--fusion", default="by_hand", help="Name of the head, for the results to say.")
@click.option(
    "--run-dir", "--save-dir", type=PATH, default="results/fusion/by_hand/seed0", help="Folder of the run."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of weights, order and dropout.")
@seed_options
def main(given: Given, fusion: str, run_dir: Path, seed: int) -> None:
    """Train a head, choose on validation, predict the test split; features are files, or folders of them."""
    setup_logging()
    settings = given.settings
    code = code_digest("workflow_scripts.train_fusion", *given.modules)
    state = stamp(settings, given.learnt_from, f"{code} {given.digests}", seed)
    train(settings, given.open(), run_dir, {"fusion": fusion}, seed=seed, stamp=state)
    inputs = [*given.learnt_from, *given.tested_on]
    for name in (*RUN_FILES, "predictions.csv"):
        write_sidecar(run_dir / name, settings=settings, inputs=inputs, code=code, seed=seed, fusion=fusion)


if __name__ == "__main__":
    main()
