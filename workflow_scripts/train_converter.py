"""Train a converter from the cached features of one backbone to those of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidkd.config.options import PATH, command, settings_options
from vidkd.engine.logging import setup_logging
from vidkd.engine.run import RUN_FILES
from vidkd.features.store import find_feature_shards
from vidkd.methods.converters.pairs import LEARNT_FROM
from vidkd.methods.converters.settings import ConverterSettings
from vidkd.methods.converters.train import train
from vidkd.provenance import code_digest, stamp, write_sidecar


@command
@settings_options(ConverterSettings)
@click.option(
    "--student-train", type=PATH, multiple=True, required=True, help="The student's, to learn from."
)
@click.option("--student-val", type=PATH, multiple=True, required=True, help="They choose the epoch.")
@click.option("--teacher-train", type=PATH, multiple=True, required=True, help="The teacher's of the same.")
@click.option("--teacher-val", type=PATH, multiple=True, required=True, help="The teacher's of the same.")
@click.option("--converter", required=True, help="Name of the converter, for the results to say.")
@click.option("--student", required=True, help="Name of the backbone that is converted from.")
@click.option("--teacher", required=True, help="Name of the backbone that is converted to.")
@click.option("--run-dir", type=PATH, required=True, help="Folder of the run.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of weights and order.")
def main(
    settings: ConverterSettings,
    converter: str,
    student: str,
    teacher: str,
    run_dir: Path,
    seed: int,
    **places: Any,
) -> None:
    """Train a converter; features are files, or folders of them."""
    setup_logging()
    about = {"converter": converter, "student": student, "teacher": teacher}
    shards = {
        name: {split: find_feature_shards(places[f"{side}_{split}"]) for split in LEARNT_FROM}
        for side, name in (("student", student), ("teacher", teacher))
    }
    inputs = [file for splits in shards.values() for files in splits.values() for file in files]
    code = code_digest("workflow_scripts.train_converter")
    state = stamp(settings, inputs, code, seed)
    train(settings, shards, run_dir, about, seed=seed, stamp=state)
    for name in RUN_FILES:
        write_sidecar(run_dir / name, settings=settings, inputs=inputs, code=code, seed=seed, **about)


if __name__ == "__main__":
    main()
