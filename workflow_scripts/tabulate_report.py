"""The tables of the report, each as csv, md and tex."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.artefacts import write_sidecar
from vidkd.config.options import INPUT, PATH, command
from vidkd.config.references import load_references
from vidkd.methods.cli import named_files, named_words
from vidkd.provenance import code_digest
from vidkd.registry import report_modules
from vidkd.report.sources import Sources
from vidkd.report.tables import Published, build_tables, write_tables


@command
@click.option("--table", multiple=True, metavar="NAME=FILE", help="A table that is there already, CSV.")
@click.option("--latency", multiple=True, metavar="METHOD=FILE", help="What a clip takes its networks, CSV.")
@click.option("--classes", multiple=True, metavar="METHOD=FILE", help="Its class names, JSON.")
@click.option(
    "--baseline", multiple=True, metavar="METHOD=VARIANT", help="What its variants are compared with."
)
@click.option("--references", type=INPUT, help="Published results, YAML.")
@click.option("--kind", multiple=True, metavar="BACKBONE=KIND", help="Finds its published results.")
@click.option("--adapter", default="", help="Data set, as data.adapter names it.")
@click.option("--benchmarks", type=PATH, help="Folder of Snakemake's benchmarks.")
@click.option("--folder", type=PATH, required=True, help="Folder to write the tables to.")
@click.argument("metrics", nargs=-1, required=True, type=INPUT)
def main(
    table: tuple[str, ...],
    latency: tuple[str, ...],
    classes: tuple[str, ...],
    baseline: tuple[str, ...],
    references: Path | None,
    kind: tuple[str, ...],
    adapter: str,
    benchmarks: Path | None,
    folder: Path,
    metrics: tuple[Path, ...],
) -> None:
    """Tabulate the runs METRICS, as METHOD/RUN/seedK/metrics.json, and show tables that are there."""
    named = {"table": table, "latency": latency, "classes": classes}
    files = [named_files(given, f"--{option}") for option, given in named.items()]
    sources = Sources(metrics, *files, named_words(baseline, "--baseline"))
    known = load_references(references) if references else ()
    published = Published(known, adapter, named_words(kind, "--kind"))
    about = {"baselines": sources.baselines, "kinds": published.kinds}
    inputs = [*sources.files, *([references] if references else [])]
    code = code_digest("workflow_scripts.tabulate_report", *report_modules())
    for file in write_tables(build_tables(sources, benchmarks, published), folder):
        write_sidecar(file, settings=about, inputs=inputs, code=code)


if __name__ == "__main__":
    main()
