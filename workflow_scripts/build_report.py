"""The report page."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import PATH, command, settings_options
from vidkd.config.settings import ReportSettings
from vidkd.named import named_files
from vidkd.provenance import code_digest, write_sidecar
from vidkd.report.page import build_page


@command
@settings_options(ReportSettings)
@click.option("--table", multiple=True, metavar="NAME=FILE", help="A table of tabulate_report, CSV.")
@click.option("--figure", multiple=True, metavar="NAME=FILE", help="A figure, SVG; its PNG is beside it.")
@click.option("--captions", type=PATH, default="rules/captions", help="Folder of what figures show, RST.")
@click.option("--page", type=PATH, required=True, help="The page to write, HTML.")
def main(
    settings: ReportSettings, table: tuple[str, ...], figure: tuple[str, ...], captions: Path, page: Path
) -> None:
    """Build the page of these tables and figures."""
    tables, figures = named_files(table, "--table"), named_files(figure, "--figure")
    build_page(tables, figures, page, settings, captions)
    inputs = [*tables.values(), *figures.values()]
    write_sidecar(page, settings=settings, inputs=inputs, code=code_digest("workflow_scripts.build_report"))


if __name__ == "__main__":
    main()
