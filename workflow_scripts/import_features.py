"""Import the pickled features of the original project, once."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.artefacts import write_sidecars
from vidkd.config.options import INPUT, PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.features.pickle_import import import_features
from vidkd.features.store import FeatureStore
from vidkd.provenance import code_digest


@command
@click.option("--features", type=PATH, default="results/features", help="Folder of the feature caches.")
@click.argument("index", metavar="INDEX.json", type=INPUT)
def main(features: Path, index: Path) -> None:
    """Write the shards that INDEX.json lists as features/BACKBONE/SPLIT/shard_K.h5.

    Only numpy arrays and plain values are read of them; a pickle with anything else is refused.
    """
    setup_logging()
    written = import_features(index, features)
    code = code_digest("workflow_scripts.import_features")
    write_sidecars(written, settings={}, inputs=[index], code=code)
    for folder in sorted({shard.parent for shard in written}):
        store = FeatureStore([shard for shard in written if shard.parent == folder])
        store.verify()
        click.echo(f"{folder}: {len(store)} videos, {store.shape[0]} x {store.shape[1]} {store.meta.dtype}")


if __name__ == "__main__":
    main()
