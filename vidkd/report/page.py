"""The report page: one self-contained HTML file, of the tables and figures beside it."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from vidkd.config.settings import ReportSettings
from vidkd.data.census import by_reason
from vidkd.evaluate.statistics import ALPHA
from vidkd.evaluate.tables import number
from vidkd.files import write_text
from vidkd.report.sections import SECTIONS, Section
from vidkd.report.specs import SPECS
from vidkd.report.tables import FORMATS, read_report_table, show

SHOWN = 200
"""Rows of a table that are on the page; the csv has all."""

GAINS = {"fusion": "delta_vs_student", "student": "delta", "trimodel": "delta"}
"""Tables whose rows are compared with a baseline, and the column that is empty for it."""


def build_page(
    tables: Mapping[str, Path],
    figures: Mapping[str, Path],
    page: Path,
    settings: ReportSettings,
    captions: Path,
    missing: Sequence[str] = (),
) -> None:
    """Write `page`.

    Args:
        tables: csv files by the name of the table; md and tex are beside each.
        figures: svg files by the name of the figure; png is beside each.
        page: file to write.
        settings: its heading.
        captions: folder of what figures show: `NAME.rst`, or one for all whose names start so, `curves.rst`.
        missing: what is planned but not there, a sentence each.
    """
    loader = jinja2.PackageLoader("vidkd.report")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = {name: read_report_table(path) for name, path in tables.items()}
    read = {name: table for name, table in found.items() if len(table)}
    there = [section for section in SECTIONS if _has(section, {*read, *figures})]
    script, _, _ = loader.get_source(environment, "page.js")
    text = environment.get_template("page.html").render(
        title=settings.title,
        sections=there,
        absent=[section.title for section in SECTIONS if section not in there],
        missing=missing,
        tables={name: _table(name, table, tables[name], page) for name, table in read.items()},
        figures={name: _figure(path, page, _caption(name, captions)) for name, path in figures.items()},
        alarms=_alarms(read),
        listed="excluded" in found,
        excluded=by_reason(Counter(read["excluded"]["reason"])) if "excluded" in read else "",
        told={name: _told_apart(read[name], column) for name, column in GAINS.items() if name in read},
        made_by=_made_by(read.get("provenance")),
        script=script,
        # The page runs no other: a figure that somebody else drew may have one in it.
        script_sum=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    write_text(page, text)


def _has(section: Section, names: set[str]) -> bool:
    """Whether one of its tables or figures is there; a figure and a table may share a name."""
    return bool(names & {*section.tables, *section.figures, *section.folded})


def _table(name: str, table: pd.DataFrame, path: Path, page: Path) -> dict[str, Any]:
    """What the page shows of a table."""
    columns, cells, notes = show(name, table)
    links = {kind: os.path.relpath(path.with_suffix(f".{kind}"), page.parent) for kind in FORMATS}
    more = f"The first {SHOWN:,} of {len(cells):,} rows; all are in the csv." if len(cells) > SHOWN else ""
    return {
        "title": SPECS[name].title,
        "notes": [*notes, more],
        "columns": [
            (column, all(isinstance(row[place].value, str) for row in cells))
            for place, column in enumerate(columns)
        ],
        "rows": cells[:SHOWN],
        "links": links,
    }


def _caption(figure: str, folder: Path) -> str:
    """What a figure shows, in the words that Snakemake's own report has as well."""
    kind, _, method = figure.partition("_")
    files = [path for name in (figure, kind) if (path := folder / f"{name}.rst").is_file()]
    told = jinja2.Template(files[0].read_text(encoding="utf-8") if files else figure)
    text = told.render(snakemake={"wildcards": {"method": method}})
    return " ".join(text.replace("``", "").split())


def _figure(path: Path, page: Path, caption: str) -> dict[str, Any]:
    """What the page shows of a figure."""
    links = {"svg": path, "png": path.with_suffix(".png")}
    return {
        "svg": _inline_svg(path, caption),
        "caption": caption,
        "links": {kind: os.path.relpath(file, page.parent) for kind, file in links.items()},
    }


def _alarms(tables: Mapping[str, pd.DataFrame]) -> dict[str, list[Any]]:
    """What must be known before any number is read: gates that fired, and modes that do not agree."""

    def refused(name: str, column: str) -> list[dict[str, Any]]:
        if name not in tables:
            return []
        table = tables[name]
        rows = table[~table[column].astype(bool)]
        return [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]

    return {
        "runs": refused("gates", "passed"),
        "teachers": [row for row in refused("teachers", "gate") if row["used"]],
        "networks": refused("networks", "gate"),
        "modes": refused("modes", "agree"),
    }


def _told_apart(table: pd.DataFrame, delta: str) -> dict[str, Any]:
    """The baseline, how many variants are compared with it in the column `delta`, and those that differ."""
    compared = table[table[delta].notna()]
    names = {"delta": delta, "low": "delta_low", "high": "delta_high"}
    differ = [
        {"variant": row["variant"], **{short: number(name, row[name]) for short, name in names.items()}}
        for row in compared.to_dict("records")
        if row["p_holm"] < ALPHA
    ]
    baseline = table.loc[table[delta].isna(), "variant"]
    return {"baseline": baseline.iloc[0], "compared": len(compared), "differ": differ, "alpha": f"{ALPHA:g}"}


def _made_by(provenance: pd.DataFrame | None) -> dict[str, Any]:
    """The commits of all runs, how many runs were made with changes that no commit has, how many by none."""
    if provenance is None:
        return {"commits": [], "changed": 0, "unknown": 0}
    commits = provenance.get("commit", pd.Series(dtype=str)).dropna()
    changed = provenance.get("changed_since", pd.Series(dtype=bool)).fillna(value=False).astype(bool)
    unknown = len(provenance) - len(commits)
    return {"commits": sorted(set(commits)), "changed": int(changed.sum()), "unknown": unknown}


def _inline_svg(path: Path, label: str) -> str:
    """The drawing itself, without the XML prologue that HTML does not allow, and with a label for readers.

    Names inside are made its own: matplotlib gives the marks of every drawing the same ones.
    """
    text = path.read_text(encoding="utf-8")
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{path.stem}-", text[text.index("<svg") :])
    words = jinja2.filters.escape(label)
    return re.sub(r"^<svg ", lambda found: f'{found[0]}role="img" aria-label="{words}" ', text)
