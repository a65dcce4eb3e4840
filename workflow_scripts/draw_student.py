"""Training curves of students, and confusion matrices of them and of their teacher."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command
from vidkd.data.tables import read_classes
from vidkd.named import named_places
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.student_figures import draw_confusion, draw_curves


@command
@click.option("--teacher", type=INPUT, required=True, help="Predictions of the teacher, CSV.")
@click.option("--classes", type=INPUT, required=True, help="Class names, JSON.")
@click.option("--curves", type=PATH, multiple=True, required=True, help="Figure to write, SVG or PNG.")
@click.option("--confusion", type=PATH, multiple=True, required=True, help="Figure to write, SVG or PNG.")
@click.argument("runs", metavar="VARIANT=FOLDER...", nargs=-1, required=True)
def main(
    runs: tuple[str, ...], teacher: Path, classes: Path, curves: tuple[Path, ...], confusion: tuple[Path, ...]
) -> None:
    """Draw the runs in these folders; of each variant the first's predictions."""
    folders = named_places(runs, "RUNS")
    histories = {name: [folder / "history.csv" for folder in of] for name, of in folders.items()}
    predictions = {"teacher": teacher} | {name: of[0] / "predictions.csv" for name, of in folders.items()}
    draw_curves(histories, curves)
    draw_confusion(predictions, read_classes(classes), confusion)
    code = code_digest("workflow_scripts.draw_student")
    read = [*(path for paths in histories.values() for path in paths), *predictions.values(), classes]
    for figure in (*curves, *confusion):
        write_sidecar(figure, settings={}, inputs=read, code=code)


if __name__ == "__main__":
    main()
