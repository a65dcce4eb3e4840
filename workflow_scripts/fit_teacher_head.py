"""Make the head of a frozen CLIP teacher, measure it, and judge whether it may teach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidkd.config.backbones import BackboneSettings
from vidkd.config.data import SPLITS
from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.engine.logging import setup_logging
from vidkd.features.store import find_feature_shards
from vidkd.methods.student.fit import FILES, fit_teacher_head
from vidkd.methods.student.settings import TeacherSettings
from vidkd.provenance import code_digest, write_sidecar


@command
@settings_options(TeacherSettings)
@click.option("--network", required=True, metavar="JSON", help="The CLIP: settings of a backbone.")
@click.option("--train", type=PATH, multiple=True, required=True, help="Its features to fit on.")
@click.option("--val", type=PATH, multiple=True, required=True, help="They choose the penalty and the gate.")
@click.option("--test", type=PATH, multiple=True, required=True, help="They are predicted, once.")
@click.option("--classes", type=INPUT, required=True, help="Class names of the label, JSON.")
@click.option("--labels", type=INPUT, required=True, help="Label of each video: CSV of list_labels.")
@click.option("--marked-only/--not-marked-only", help="Fit on videos that are marked as labelled only.")
@click.option("--label", required=True, help="Name of the label, for the results to say.")
@click.option("--run-dir", type=PATH, required=True, help="Folder to write into.")
def main(
    settings: TeacherSettings,
    network: str,
    classes: Path,
    labels: Path,
    marked_only: bool,
    label: str,
    run_dir: Path,
    **splits: Any,
) -> None:
    """Fit the head; features are files, or folders of them."""
    setup_logging()
    backbone = BackboneSettings.model_validate_json(network)
    shards = {split: find_feature_shards(splits[split]) for split in SPLITS}
    about = {"teacher": settings.backbone or "by_hand", "label": label}
    read = fit_teacher_head(
        settings, backbone, shards, classes, labels, run_dir, about, marked_only=marked_only
    )
    inputs = [*(file for files in shards.values() for file in files), classes, labels, *read]
    code = code_digest("workflow_scripts.fit_teacher_head")
    for name in FILES:
        write_sidecar(run_dir / name, settings=settings, inputs=inputs, code=code, network=backbone, **about)


if __name__ == "__main__":
    main()
