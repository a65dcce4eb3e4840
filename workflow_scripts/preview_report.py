"""The report of what is there so far, while a run goes on or after one that failed."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.load import load_settings
from vidkd.config.options import INPUT, PATH, command
from vidkd.config.references import load_references
from vidkd.errors import UserError
from vidkd.methods.base import Plan
from vidkd.provenance import ROOT
from vidkd.registry import METHODS, find_method
from vidkd.report.page import build_page
from vidkd.report.plan import captions, drawn_of, planned, planned_figures
from vidkd.report.sources import current_figures, missing
from vidkd.report.tables import Published, build_tables, write_tables


@command
@click.option("--config", type=INPUT, default="config/config.yaml", help="Configuration of the run, YAML.")
@click.option("--folder", type=PATH, help="Folder to write to; without it report/preview of the results.")
def main(config: Path, folder: Path | None) -> None:
    """Build tables and page of the results that are there, and say at the top what is missing."""
    settings = load_settings(config)
    plan = Plan(settings)
    paths = plan.paths
    active = [method for name in METHODS if (method := find_method(name)(plan)).active]
    sources = planned(active, plan)
    there = sources.there()
    if not there.compared:
        raise UserError(f"{settings.results_dir} has no evaluated run of {config}: start with snakemake.")
    folder = folder or Path(paths.report).with_name("preview")
    benchmarks = Path(paths.benchmarks)
    known = load_references(ROOT / "config" / "references.yaml")
    kinds = {name: backbone.kind for name, backbone in settings.backbones.items()}
    published = Published(known, settings.data.adapter, kinds)
    made = build_tables(there, benchmarks if benchmarks.is_dir() else None, published)
    tables = [file for file in write_tables(made, folder / "tables") if file.suffix == ".csv"]
    figures = current_figures(Path(paths.figure).parent, drawn_of(active, plan))
    absent = missing(sources, there, figures, config)
    page = folder / "index.html"
    named = ({file.stem: file for file in files} for files in (tables, figures))
    build_page(*named, page, settings.report, captions(planned_figures(active, plan)), absent)
    click.echo(f"{page}: {len(there.metrics)} of {len(sources.metrics)} runs")


if __name__ == "__main__":
    main()
