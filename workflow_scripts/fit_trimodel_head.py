"""Make the linear head of a teacher or an assistant, measure it, and judge whether it may teach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidkd.config.data import SPLITS
from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.engine.logging import setup_logging
from vidkd.features.store import find_feature_shards
from vidkd.methods.trimodel.fit import FILES, fit_head
from vidkd.methods.trimodel.settings import GateSettings
from vidkd.provenance import code_digest, write_sidecar


@command
@settings_options(GateSettings)
@click.option("--train", type=PATH, multiple=True, required=True, help="Its features to fit on.")
@click.option("--val", type=PATH, multiple=True, required=True, help="They choose the penalty and the gate.")
@click.option("--test", type=PATH, multiple=True, required=True, help="They are predicted, once.")
@click.option("--classes", type=INPUT, required=True, help="Class names of the label, JSON.")
@click.option("--labels", type=INPUT, required=True, help="Label of each video: CSV of list_labels.")
@click.option("--marked-only/--not-marked-only", help="Fit on videos that are marked as labelled only.")
@click.option("--network", required=True, help="Name of the network, for the results to say.")
@click.option("--label", required=True, help="Name of the label, for the results to say.")
@click.option("--run-dir", type=PATH, required=True, help="Folder to write into.")
def main(
    settings: GateSettings,
    classes: Path,
    labels: Path,
    marked_only: bool,
    network: str,
    label: str,
    run_dir: Path,
    **splits: Any,
) -> None:
    """Fit the head; features are files, or folders of them."""
    setup_logging()
    shards = {split: find_feature_shards(splits[split]) for split in SPLITS}
    about = {"network": network, "label": label}
    fit_head(settings, shards, classes, labels, run_dir, about, marked_only=marked_only)
    inputs = [*(file for files in shards.values() for file in files), classes, labels]
    code = code_digest("workflow_scripts.fit_trimodel_head")
    for name in FILES:
        write_sidecar(run_dir / name, settings=settings, inputs=inputs, code=code, **about)


if __name__ == "__main__":
    main()
