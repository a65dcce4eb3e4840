"""Fit one head on the cached features of a frozen network."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from vidkd.config.data import SPLITS
from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.engine.logging import setup_logging
from vidkd.engine.run import RUN_FILES
from vidkd.features.store import find_feature_shards
from vidkd.methods.probes.fit import fit_probe
from vidkd.methods.probes.registry import module_of
from vidkd.methods.probes.settings import Head, HeadSettings
from vidkd.provenance import code_digest, stamp, write_sidecar


@command
@settings_options(HeadSettings)
@click.option("--train", type=PATH, multiple=True, required=True, help="Features to fit on.")
@click.option("--val", type=PATH, multiple=True, required=True, help="They choose the epoch or the penalty.")
@click.option("--test", type=PATH, multiple=True, required=True, help="They are predicted, once.")
@click.option("--classes", type=INPUT, required=True, help="Class names of the label, JSON.")
@click.option("--labels", type=INPUT, help="Another label than the features have, CSV.")
@click.option("--backbone", required=True, help="Name of the network, for the results to say.")
@click.option("--label", required=True, help="Name of the label, for the results to say.")
@click.option("--head", type=click.Choice(get_args(Head)), required=True, help="The head.")
@click.option("--run-dir", type=PATH, required=True, help="Folder of the run.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of weights and order.")
def main(
    settings: HeadSettings,
    classes: Path,
    labels: Path | None,
    head: str,
    run_dir: Path,
    seed: int,
    **others: Any,
) -> None:
    """Fit a head; features are files, or folders of them."""
    setup_logging()
    about = {"head": head, "backbone": others["backbone"], "label": others["label"]}
    shards = {split: find_feature_shards(others[split]) for split in SPLITS}
    fitted = [*shards["train"], *shards["val"], classes, *([labels] if labels else [])]
    code = code_digest("workflow_scripts.fit_probe", module_of(head))
    own = getattr(settings, head)
    state = stamp(own, fitted, code, seed)
    fit_probe(settings, shards, classes, labels, run_dir, about, seed=seed, stamp=state)
    inputs = [*fitted, *shards["test"]]
    for name in (*RUN_FILES, "predictions.csv"):
        write_sidecar(run_dir / name, settings=own, inputs=inputs, code=code, seed=seed, **about)


if __name__ == "__main__":
    main()
