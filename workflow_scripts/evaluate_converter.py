"""Figures of one converter: how near its features are to those of the teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.evaluate.converters import evaluate_converter
from vidkd.features.store import find_feature_shards
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--weights", type=INPUT, required=True, help="The converter, beside its config.json.")
@click.option("--student-val", type=PATH, multiple=True, required=True, help="The student's features.")
@click.option("--student-test", type=PATH, multiple=True, required=True, help="The student's features.")
@click.option("--teacher-train", type=PATH, multiple=True, required=True, help="For the mean feature.")
@click.option("--teacher-val", type=PATH, multiple=True, required=True, help="The teacher's features.")
@click.option("--teacher-test", type=PATH, multiple=True, required=True, help="The teacher's features.")
@click.option("--probe", type=INPUT, required=True, help="A head that fit_probe made of the teacher's own.")
@click.option("--metrics", type=PATH, required=True, help="The figures to write, JSON.")
def main(weights: Path, probe: Path, metrics: Path, **features: Any) -> None:
    """Evaluate a converter on validation and test; features are files, or folders of them."""
    setup_logging()
    shards = {name: find_feature_shards(places) for name, places in features.items()}
    student = {split: shards[f"student_{split}"] for split in ("val", "test")}
    teacher = {split: shards[f"teacher_{split}"] for split in ("train", "val", "test")}
    evaluate_converter(weights, student, teacher, probe, metrics)
    configs = [path.with_name("config.json") for path in (weights, probe)]
    inputs = [weights, probe, *configs, *(path for paths in shards.values() for path in paths)]
    code = code_digest("workflow_scripts.evaluate_converter")
    write_sidecar(metrics, settings={}, inputs=inputs, code=code)


if __name__ == "__main__":
    main()
