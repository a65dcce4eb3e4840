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
from markupsafe import Markup

from vidkd.artefacts import check
from vidkd.config.settings import ReportSettings
from vidkd.data.tables import by_reason
from vidkd.evaluate.specs import Section, Spec
from vidkd.evaluate.statistics import ALPHA
from vidkd.evaluate.tables import number
from vidkd.files import write_text
from vidkd.report.sections import sections, specs
from vidkd.report.tables import FORMATS, read_report_table, show

_SHOWN = 200
"""Rows of a table that are on the page; the csv has all."""


def build_page(
    tables: Mapping[str, Path],
    figures: Mapping[str, Path],
    page: Path,
    settings: ReportSettings,
    captions: Mapping[str, str],
    missing: Sequence[str] = (),
) -> None:
    """Write `page`.

    Args:
        tables: csv files by the name of the table; md and tex are beside each.
        figures: svg files by the name of the figure; png is beside each.
        page: file to write.
        settings: its heading.
        captions: what each figure shows.
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
    every = sections()
    there = [section for section in every if _has(section, {*read, *figures})]
    script, _, _ = loader.get_source(environment, "page.js")
    text = environment.get_template("page.html").render(
        title=settings.title,
        sections=there,
        absent=[section.title for section in every if section not in there],
        missing=missing,
        tables={name: _table(name, table, tables[name], page) for name, table in read.items()},
        figures={name: _figure(path, page, captions.get(name, name)) for name, path in figures.items()},
        failed=_rows_without(read["gates"], "passed") if "gates" in read else [],
        alarms=[sentence for name, table in read.items() for sentence in _alarms(specs()[name], table)],
        listed="excluded" in found,
        excluded=by_reason(Counter(read["excluded"]["reason"])) if "excluded" in read else "",
        told={section.name: told for section in there if (told := _told(section, read))},
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
    more = f"The first {_SHOWN:,} of {len(cells):,} rows; all are in the csv." if len(cells) > _SHOWN else ""
    return {
        "title": specs()[name].title,
        "notes": [*notes, more],
        "columns": [
            (column, all(isinstance(row[place].value, str) for row in cells))
            for place, column in enumerate(columns)
        ],
        "rows": cells[:_SHOWN],
        "links": links,
    }


def _figure(path: Path, page: Path, caption: str) -> dict[str, Any]:
    """What the page shows of a figure."""
    links = {"svg": path, "png": path.with_suffix(".png")}
    return {
        "svg": _inline_svg(path, caption),
        "caption": caption,
        "links": {kind: os.path.relpath(file, page.parent) for kind, file in links.items()},
    }


def _alarms(spec: Spec, table: pd.DataFrame) -> list[Markup]:
    """What of a table must be known before any number is read, a sentence each."""
    if spec.alarm is None:
        return []
    rows = _rows_without(table, spec.alarm.column)
    sentence = Markup(spec.alarm.sentence)
    return [sentence.format(**row) for row in rows if not spec.alarm.only or row[spec.alarm.only]]


def _rows_without(table: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    """The rows in which the column is false."""
    rows = table[~table[column].astype(bool)].to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]


def _told(section: Section, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    """What differs from the baseline in the table of a section that has gains."""
    gains = [(tables[name], spec.gain) for name, spec in section.tables.items() if name in tables]
    return next((_told_apart(table, gain) for table, gain in gains if gain), None)


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
    text = check(path).read_text(encoding="utf-8")
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{path.stem}-", text[text.index("<svg") :])
    words = jinja2.filters.escape(label)
    return re.sub(r"^<svg ", lambda found: f'{found[0]}role="img" aria-label="{words}" ', text)
