"""The tables of the report, each as csv, md and tex with the same numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from vidkd.config.protocols import Protocols
from vidkd.config.references import Reference, data_set_of
from vidkd.data.tables import read_classes
from vidkd.evaluate.statistics import ALPHA
from vidkd.evaluate.summary import group_runs, summarise, tabulate_classes, tabulate_costs, tabulate_gates
from vidkd.evaluate.tables import read_table
from vidkd.files import atomic, write_text
from vidkd.report.cells import MARK, Cell, Column, make_cells, shown_columns
from vidkd.report.provenance import tabulate_benchmarks, tabulate_provenance, tabulate_settings
from vidkd.report.references import reference_rows
from vidkd.report.render import latex, markdown
from vidkd.report.sources import Sources, method_of
from vidkd.report.specs import SPECS, Spec

OF_DATA_SET = "data"
"""What the data set's own classes are called among the classes of methods."""

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
        write_text(files[1], markdown(SPECS[name].title, notes, columns, cells))
        write_text(files[2], latex(name, SPECS[name].title, notes, columns, cells))
        written += files
    return written


@dataclass(frozen=True)
class Published:
    """What others have published, and what ours is compared by.

    Attributes:
        references: of `config/references.yaml`.
        adapter: of the data set.
        protocols: ours.
    """

    references: Sequence[Reference]
    adapter: str
    protocols: Protocols


def build_tables(
    sources: Sources, benchmarks: Path | None = None, published: Published | None = None
) -> dict[str, pd.DataFrame]:
    """The tables by name, in the order of SPECS.

    Args:
        sources: see there.
        benchmarks: folder of Snakemake's benchmarks.
        published: what others have published.

    Raises:
        UserError: runs that are compared have not the same clips, labels or seeds.
    """
    found = {name: read_report_table(path) for name, path in sources.tables.items()}
    if "any_frame" in found:
        found["any_frame"] = _by_count(found["any_frame"])
    for name in ("tfd", "any_frame", "probes"):
        if name in found:
            found[name]["clips"] = _clips(sources.metrics, name)
    runs = group_runs(sources.compared)
    if runs:
        found["summary"] = summarise(runs, sources.baselines)
        found["per_class"] = tabulate_classes(runs, sources.classes)
    if runs and sources.latency:
        exported = found["modes"]["variant"].iloc[0] if "modes" in found else None
        found["efficiency"] = tabulate_costs(sources.latency, found["summary"], exported)
    found["gates"] = tabulate_gates(sources.metrics)
    found["provenance"] = tabulate_provenance(sources.metrics)
    found["settings"] = tabulate_settings(sources.metrics)
    if benchmarks is not None:
        found["wall_time"] = tabulate_benchmarks(benchmarks)
    if published is not None and OF_DATA_SET in sources.classes:
        classes = read_classes(sources.classes[OF_DATA_SET])
        data_set = data_set_of(published.adapter, len(classes))
        found["references"] = reference_rows(published.references, found, data_set, published.protocols)
    return {name: found[name] for name in SPECS if name in found}


def show(name: str, table: pd.DataFrame) -> tuple[list[Column], list[list[Cell]], list[str]]:
    """Columns and cells of a table as it is shown, and the notes below it."""
    spec = SPECS[name]
    if spec.only is not None:
        table = table[table[spec.only[0]] == spec.only[1]]
    columns = shown_columns(table, spec.columns)
    cells = make_cells(table, columns, spec.group)
    return columns, cells, [spec.about, *_notes(spec, table, cells)]


def read_report_table(path: Path) -> pd.DataFrame:
    """A table of results; what is excluded is text, whatever it looks like."""
    if path.name == "excluded.csv":
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    return read_table(path)


def _by_count(any_frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each variant, a column for each frame count and one for its deviation over seeds."""
    rows = []
    for variant, counts in any_frame.groupby("variant", sort=False):
        row: dict[str, Any] = {"variant": variant, "seeds": counts["seeds"].iloc[0]}
        for count, mean, spread in zip(counts["frames"], counts["acc"], counts["acc_std"], strict=True):
            row |= {f"acc_{count}f": mean, f"acc_{count}f_std": spread}
        rows.append(row)
    return pd.DataFrame(rows)


def _clips(metrics: Sequence[Path], table: str) -> int | None:
    """The test clips of the method that a table is of, if it has a run."""
    method = table if table == "probes" else "ffn"
    runs = [path for path in metrics if method_of(path) == method]
    return int(json.loads(runs[0].read_text(encoding="utf-8"))["n_clips"]) if runs else None


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
