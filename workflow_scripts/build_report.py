"""The report page."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidkd.artefacts import write_sidecar
from vidkd.config.options import PATH, command, settings_options
from vidkd.config.settings import ReportSettings
from vidkd.methods.cli import named_files
from vidkd.provenance import code_digest
from vidkd.registry import report_modules
from vidkd.report.page import build_page


@command
@settings_options(ReportSettings)
@click.option("--table", multiple=True, metavar="NAME=FILE", help="A table of tabulate_report, CSV.")
@click.option("--figure", multiple=True, metavar="NAME=FILE", help="A figure, SVG; its PNG is beside it.")
@click.option("--captions", default="{}", metavar="JSON", help="What each figure shows, by its name.")
@click.option("--page", type=PATH, required=True, help="The page to write, HTML.")
def main(
    settings: ReportSettings, table: tuple[str, ...], figure: tuple[str, ...], captions: str, page: Path
) -> None:
    """Build the page of these tables and figures."""
    tables, figures = named_files(table, "--table"), named_files(figure, "--figure")
    build_page(tables, figures, page, settings, json.loads(captions))
    inputs = [*tables.values(), *figures.values()]
    code = code_digest("workflow_scripts.build_report", *report_modules())
    write_sidecar(page, settings=settings, inputs=inputs, code=code)


if __name__ == "__main__":
    main()
