"""The tables of the report, each as csv, md and tex with the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from vidkd.config.references import Reference, data_set_of
from vidkd.data.tables import read_classes
from vidkd.evaluate.specs import Column, Spec
from vidkd.evaluate.statistics import ALPHA
from vidkd.evaluate.summary import group_runs, summarise, tabulate_classes, tabulate_costs, tabulate_gates
from vidkd.evaluate.tables import read_csv, read_table
from vidkd.files import atomic, write_text
from vidkd.report.provenance import tabulate_benchmarks, tabulate_provenance, tabulate_settings
from vidkd.report.references import reference_rows
from vidkd.report.render import MARK, Cell, latex, make_cells, markdown, shown_columns
from vidkd.report.sections import specs
from vidkd.report.sources import DATA, Sources

FORMATS = ("csv", "md", "tex")


def write_tables(tables: Mapping[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write each table in FORMATS, and name the files."""
    written = []
    for name, table in tables.items():
        files = [folder / f"{name}.{kind}" for kind in FORMATS]
        with atomic(files[0]) as temporary:
            table.to_csv(temporary, index=False, float_format="%.10g")
        # As it is read back: with the digits that a csv has.
        columns, cells, notes = show(name, read_report_table(files[0]))
        title = specs()[name].title
        write_text(files[1], markdown(title, notes, columns, cells))
        write_text(files[2], latex(name, title, notes, columns, cells))
        written += files
    return written


@dataclass(frozen=True)
class Published:
    """What others have published, and what finds our rows beside it.

    Attributes:
        references: of `config/references.yaml`.
        adapter: of the data set.
        kinds: kind of each backbone.
    """

    references: Sequence[Reference]
    adapter: str
    kinds: Mapping[str, str]


def build_tables(
    sources: Sources, benchmarks: Path | None = None, published: Published | None = None
) -> dict[str, pd.DataFrame]:
    """Build the tables by name, in the order of the page.

    Args:
        sources: see there.
        benchmarks: folder of Snakemake's benchmarks.
        published: what others have published.

    Raises:
        UserError: runs that are compared have not the same clips, labels or seeds.
    """
    found = {name: specs()[name].reshape(read_report_table(path)) for name, path in sources.tables.items()}
    runs = group_runs(sources.compared)
    if runs:
        found["summary"] = summarise(runs, sources.baselines)
        found["per_class"] = tabulate_classes(runs, sources.classes)
    if runs and sources.latency:
        found["efficiency"] = tabulate_costs(sources.latency, found["summary"])
    found["gates"] = tabulate_gates(sources.metrics)
    found["provenance"] = tabulate_provenance(sources.metrics)
    found["settings"] = tabulate_settings(sources.metrics)
    if benchmarks is not None:
        found["wall_time"] = tabulate_benchmarks(benchmarks)
    if published is not None and DATA in sources.classes:
        classes = read_classes(sources.classes[DATA])
        data_set = data_set_of(published.adapter, len(classes))
        found["references"] = reference_rows(published.references, found, data_set, published.kinds)
    return {name: found[name] for name in specs() if name in found}


def show(name: str, table: pd.DataFrame) -> tuple[list[Column], list[list[Cell]], list[str]]:
    """Choose columns and cells of a table as it is shown, and the notes below it."""
    spec = specs()[name]
    if spec.only is not None:
        table = table[table[spec.only[0]] == spec.only[1]]
    columns = shown_columns(table, spec.columns)
    cells = make_cells(table, columns, spec.group)
    return columns, cells, [spec.about, *_notes(spec, table, cells)]


def read_report_table(path: Path) -> pd.DataFrame:
    """Read a table of results; what is excluded is text, whatever it looks like."""
    if path.name == "excluded.csv":
        return read_csv(path, dtype=str, keep_default_na=False)
    return read_table(path)


def _notes(spec: Spec, table: pd.DataFrame, cells: Sequence[Sequence[Cell]]) -> list[str]:
    """What bold and the mark mean, where they are used, and how many seeds and clips there are."""
    notes = []
    if "seeds" in table:
        notes.append(f"Seeds: {_distinct(table, 'seeds')}.")
    if "clips" in table and "class" not in table:
        notes.append(f"Test clips: {_distinct(table, 'clips')}.")
    if any(cell.best for row in cells for cell in row):
        within = f" of each {spec.group}" if spec.group else ""
        notes.append(f"Bold: the best{within}.")
    if any(cell.text.endswith(MARK) for row in cells for cell in row):
        notes.append(f"{MARK}: differs from the baseline, corrected p below {ALPHA:g}.")
    return notes


def _distinct(table: pd.DataFrame, column: str) -> str:
    """The values of a column, in the order of the rows, once each."""
    return ", ".join(f"{value:,.0f}" for value in dict.fromkeys(table[column].dropna()))
