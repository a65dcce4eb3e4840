"""Cache what a converter makes of the student's features, once for all trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidkd.config.data import SPLITS
from vidkd.config.options import INPUT, PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.features.store import find_feature_shards
from vidkd.methods.converters.convert import convert
from vidkd.methods.converters.load import converter_config
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--weights", type=INPUT, required=True, help="model.safetensors of train_converter.")
@click.option("--train", type=PATH, multiple=True, required=True, help="The student's features of train.")
@click.option("--val", type=PATH, multiple=True, required=True, help="The student's features of val.")
@click.option("--test", type=PATH, multiple=True, required=True, help="The student's features of test.")
@click.option("--output-train", type=PATH, required=True, help="The shard of converted features of train.")
@click.option("--output-val", type=PATH, required=True, help="The shard of converted features of val.")
@click.option("--output-test", type=PATH, required=True, help="The shard of converted features of test.")
def main(weights: Path, **places: Any) -> None:
    """Convert features; they are files, or folders of them."""
    setup_logging()
    shards = {split: find_feature_shards(places[split]) for split in SPLITS}
    outputs = {split: places[f"output_{split}"] for split in SPLITS}
    convert(weights, shards, outputs)
    config, code = converter_config(weights), code_digest("workflow_scripts.convert_features")
    for split, output in outputs.items():
        inputs = [weights, weights.with_name("config.json"), *shards[split]]
        write_sidecar(output, settings=config["settings"], inputs=inputs, code=code)


if __name__ == "__main__":
    main()
