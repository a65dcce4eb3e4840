"""The report page."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.config.settings import ReportSettings
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.page import Sections, build_page


@command
@settings_options(ReportSettings)
@click.option("--tfd", type=INPUT, required=True, help="TFD table, CSV.")
@click.option("--any-frame", type=INPUT, required=True, help="Accuracy at every frame count, CSV.")
@click.option("--figure", type=INPUT, required=True, help="TFD curves, SVG.")
@click.option("--excluded", type=INPUT, required=True, help="Excluded videos, CSV.")
@click.option("--probes", type=INPUT, help="Table of heads on cached features, CSV.")
@click.option("--converters", type=INPUT, help="Table of converters, CSV.")
@click.option("--converters-figure", type=INPUT, help="Its drawing, SVG.")
@click.option("--fusion", type=INPUT, help="Table of fusion heads, CSV.")
@click.option("--fusion-figure", type=INPUT, help="Its drawing, SVG.")
@click.option("--modes", type=INPUT, help="Whether video mode and cached mode agree, CSV.")
@click.option("--latency", type=INPUT, help="Time and size of the exported network, CSV.")
@click.option("--student", type=INPUT, help="Table of students, CSV.")
@click.option("--teachers", type=INPUT, help="Table of their teacher's heads, CSV.")
@click.option("--student-curves", type=INPUT, help="Loss terms and accuracies, SVG.")
@click.option("--student-confusion", type=INPUT, help="Confusion matrices, SVG.")
@click.option("--student-attention", type=INPUT, help="Weights of frames, SVG.")
@click.option("--trimodel", type=INPUT, help="Table of students of a teacher and an assistant, CSV.")
@click.option("--trimodel-networks", type=INPUT, help="Table of these two, CSV.")
@click.option("--trimodel-classes", type=INPUT, help="Accuracy of each class, CSV.")
@click.option("--trimodel-curves", type=INPUT, help="Loss terms and accuracies, SVG.")
@click.option("--page", type=PATH, required=True, help="The page to write, HTML.")
@click.argument("metrics", nargs=-1, type=INPUT)
def main(
    settings: ReportSettings,
    tfd: Path,
    any_frame: Path,
    figure: Path,
    excluded: Path,
    page: Path,
    metrics: tuple[Path, ...],
    **more: Path | None,
) -> None:
    """Build the page; METRICS are the runs whose gates it reports."""
    sections = Sections(**more)
    build_page(tfd, any_frame, figure, excluded, metrics, page, settings, sections)
    inputs = [tfd, any_frame, figure, excluded, *sections.files, *metrics]
    write_sidecar(page, settings=settings, inputs=inputs, code=code_digest("workflow_scripts.build_report"))


if __name__ == "__main__":
    main()
