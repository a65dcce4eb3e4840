"""Training curves of students of a teacher and an assistant."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import PATH, command
from vidkd.named import named_places
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.student_figures import TRIMODEL_PANELS, draw_curves


@command
@click.option("--curves", type=PATH, multiple=True, required=True, help="Figure to write, SVG or PNG.")
@click.argument("runs", metavar="VARIANT=FOLDER...", nargs=-1, required=True)
def main(runs: tuple[str, ...], curves: tuple[Path, ...]) -> None:
    """Draw the runs in these folders."""
    folders = named_places(runs, "RUNS")
    histories = {name: [folder / "history.csv" for folder in of] for name, of in folders.items()}
    draw_curves(histories, curves, TRIMODEL_PANELS)
    read = [path for paths in histories.values() for path in paths]
    code = code_digest("workflow_scripts.draw_trimodel")
    for figure in curves:
        write_sidecar(figure, settings={}, inputs=read, code=code)


if __name__ == "__main__":
    main()
