"""The table of the teacher's heads for each label, and what the gate says of them."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.evaluate.student import tabulate_teachers
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--table", type=PATH, required=True, help="The table to write, CSV.")
@click.argument("metrics", nargs=-1, required=True, type=INPUT)
def main(table: Path, metrics: tuple[Path, ...]) -> None:
    """Tabulate METRICS of fit_teacher_head, of each label."""
    tabulate_teachers(metrics, table)
    code = code_digest("workflow_scripts.tabulate_teachers")
    write_sidecar(table, settings={}, inputs=[*metrics], code=code)


if __name__ == "__main__":
    main()
