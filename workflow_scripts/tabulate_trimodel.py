"""The tables of students of a teacher and an assistant, and of these two."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.evaluate.trimodel import tabulate, tabulate_networks
from vidkd.methods.trimodel.settings import ASSISTANT, TEACHER
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--teacher", type=INPUT, required=True, help="metrics.json of the teacher's head.")
@click.option("--assistant", type=INPUT, required=True, help="metrics.json of the assistant's head.")
@click.option("--classes", type=INPUT, required=True, help="Class names, JSON.")
@click.option("--latency", type=INPUT, required=True, help="What each takes a clip, CSV.")
@click.option("--baseline", default="ce", help="The variant that the others are compared with.")
@click.option("--normal", help="Class of what is nothing special, for the precision of all others.")
@click.option("--table", type=PATH, required=True, help="The table to write, CSV.")
@click.option("--per-class", type=PATH, required=True, help="Accuracy of each class to write, CSV.")
@click.option("--networks", type=PATH, required=True, help="Table of both networks to write, CSV.")
@click.argument("metrics", nargs=-1, required=True, type=INPUT)
def main(
    teacher: Path,
    assistant: Path,
    classes: Path,
    latency: Path,
    baseline: str,
    normal: str | None,
    table: Path,
    per_class: Path,
    networks: Path,
    metrics: tuple[Path, ...],
) -> None:
    """Tabulate the runs METRICS; their predictions, and the heads', are read beside each."""
    heads = {TEACHER: teacher, ASSISTANT: assistant}
    tabulate(metrics, heads, classes, latency, baseline, normal, table, per_class)
    tabulate_networks(heads, networks)
    beside = [path.with_name("predictions.csv") for path in (*metrics, *heads.values())]
    inputs = [*metrics, *heads.values(), classes, latency, *beside]
    code = code_digest("workflow_scripts.tabulate_trimodel")
    settings = {"baseline": baseline, "normal": normal}
    for artefact in (table, per_class, networks):
        write_sidecar(artefact, settings=settings, inputs=inputs, code=code)


if __name__ == "__main__":
    main()
