"""The report page."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import INPUT, PATH, command, settings_options
from vidkd.config.settings import ReportSettings
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.page import build_page


@command
@settings_options(ReportSettings)
@click.option("--tfd", type=INPUT, required=True, help="TFD table, CSV.")
@click.option("--any-frame", type=INPUT, required=True, help="Accuracy at every frame count, CSV.")
@click.option("--figure", type=INPUT, required=True, help="TFD curves, SVG.")
@click.option("--excluded", type=INPUT, required=True, help="Excluded videos, CSV.")
@click.option("--probes", type=INPUT, help="Table of heads on cached features, CSV.")
@click.option("--page", type=PATH, required=True, help="The page to write, HTML.")
@click.argument("metrics", nargs=-1, type=INPUT)
def main(
    settings: ReportSettings,
    tfd: Path,
    any_frame: Path,
    figure: Path,
    excluded: Path,
    probes: Path | None,
    page: Path,
    metrics: tuple[Path, ...],
) -> None:
    """Build the page; METRICS are the runs whose gates it reports."""
    build_page(tfd, any_frame, figure, excluded, metrics, page, settings, probes)
    inputs = [tfd, any_frame, figure, excluded, *([probes] if probes else []), *metrics]
    write_sidecar(page, settings=settings, inputs=inputs, code=code_digest("workflow_scripts.build_report"))


if __name__ == "__main__":
    main()
