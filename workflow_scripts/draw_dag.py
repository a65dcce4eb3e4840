"""The rules of a run, and which needs which."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidkd.artefacts import write_sidecars
from vidkd.config.options import PATH, command
from vidkd.provenance import code_digest
from vidkd.report.dag import draw_dag


@command
@click.option("--graph", required=True, metavar="JSON", help="Stages and edges, as rules/dag.smk finds them.")
@click.option("--figure", type=PATH, multiple=True, required=True, help="Figure to write, .svg or .png.")
def main(graph: str, figure: tuple[Path, ...]) -> None:
    """Draw the rules of a run and what depends on what."""
    rules = json.loads(graph)
    draw_dag(rules["stages"], rules["edges"], figure)
    write_sidecars(figure, settings=rules, inputs=[], code=code_digest("workflow_scripts.draw_dag"))


if __name__ == "__main__":
    main()
