"""How like the features of a student, its teachers and converters are to each other."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.evaluate.compare_features import compare_features
from vidkd.features.store import find_feature_shards
from vidkd.named import named_places
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option(
    "--features", multiple=True, required=True, help="NAME=FILE, the student's first, then its teachers'."
)
@click.option("--table", type=PATH, required=True, help="Table of pairs to write, CSV.")
@click.argument("weights", nargs=-1, type=INPUT)
def main(features: tuple[str, ...], weights: tuple[Path, ...], table: Path) -> None:
    """Compare features of one split; WEIGHTS are converters, each beside its config.json."""
    setup_logging()
    places = named_places(features, "--features")
    shards = {name: find_feature_shards(files) for name, files in places.items()}
    compare_features(shards, weights, table)
    configs = [path.with_name("config.json") for path in weights]
    inputs = [*(path for files in shards.values() for path in files), *weights, *configs]
    code = code_digest("workflow_scripts.compare_features")
    write_sidecar(table, settings={}, inputs=inputs, code=code)


if __name__ == "__main__":
    main()
