"""The report page: one self-contained HTML file."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from vidkd.config.settings import ReportSettings
from vidkd.data.census import by_reason
from vidkd.evaluate.statistics import ALPHA
from vidkd.evaluate.tables import number, read_table
from vidkd.files import write_text
from vidkd.paths import sidecar

_SHOWN = 50

CURVES = (
    "Loss terms as they are added up, and validation figures, against the share of training; mean over seeds."
)
CONFUSION = "Of the test videos of each class (row), how many percent get which class; first seed."
ATTENTION = "Frames of the first test video of up to six classes, and the weight that pooling gives to each."


@dataclass(frozen=True)
class Sections:
    """The results that not every configuration has; a section is on the page where its table is given.

    Attributes:
        probes: table of heads on cached features.
        converters: table of converters.
        converters_figure: its drawing.
        fusion: table of fusion heads.
        fusion_figure: its drawing.
        modes: whether the exported network says the same of videos as of caches.
        latency: its time and size, and its teachers'.
        student: table of students and their teacher.
        teachers: table of the teacher's heads, and what the gate says of them.
        student_curves: drawing of loss terms and accuracies.
        student_confusion: drawing of confusion matrices.
        student_attention: drawing of the weights of frames.
        trimodel: table of students of a teacher and an assistant.
        trimodel_networks: table of these two, and what the gate says of them.
        trimodel_classes: accuracy of each class.
        trimodel_curves: drawing of loss terms and accuracies.
    """

    probes: Path | None = None
    converters: Path | None = None
    converters_figure: Path | None = None
    fusion: Path | None = None
    fusion_figure: Path | None = None
    modes: Path | None = None
    latency: Path | None = None
    student: Path | None = None
    teachers: Path | None = None
    student_curves: Path | None = None
    student_confusion: Path | None = None
    student_attention: Path | None = None
    trimodel: Path | None = None
    trimodel_networks: Path | None = None
    trimodel_classes: Path | None = None
    trimodel_curves: Path | None = None

    @property
    def files(self) -> list[Path]:
        """Those that are given."""
        return [path for field in fields(self) if (path := getattr(self, field.name)) is not None]


def build_page(
    tfd_csv: Path,
    any_frame_csv: Path,
    figure_svg: Path,
    excluded_csv: Path,
    metrics: Sequence[Path],
    page: Path,
    settings: ReportSettings,
    sections: Sections,
) -> None:
    """Write `page` with the tables, the figures, gates that fired, excluded videos and provenance."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vidkd.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    tfd = read_table(tfd_csv)
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in metrics]
    text = environment.get_template("page.html").render(
        title=settings.title,
        tfd=_main_columns(tfd),
        any_frame=_by_count(read_table(any_frame_csv)),
        probes=_table(sections.probes),
        converters=_by_split(sections.converters),
        fusion=_table(sections.fusion),
        told_apart=_told_apart(sections.fusion, "delta_vs_student"),
        student=_table(sections.student),
        students_told_apart=_told_apart(sections.student, "delta"),
        teachers=_teachers(sections.teachers),
        student_figures=[
            (_inline_svg(path), caption)
            for path, caption in (
                (sections.student_curves, CURVES),
                (sections.student_confusion, CONFUSION),
                (sections.student_attention, ATTENTION),
            )
            if path is not None
        ],
        trimodel=_table(sections.trimodel),
        trimodels_told_apart=_told_apart(sections.trimodel, "delta"),
        trimodel_networks=_networks(sections.trimodel_networks),
        trimodel_classes=_table(sections.trimodel_classes),
        trimodel_curves=_drawing(sections.trimodel_curves),
        curves_caption=CURVES,
        modes=_modes(sections.modes),
        latency=_table(sections.latency),
        figure=_inline_svg(figure_svg),
        converters_figure=_drawing(sections.converters_figure),
        fusion_figure=_drawing(sections.fusion_figure),
        excluded=_excluded(excluded_csv),
        failed=[run for run in runs if not run["result_gate"]["passed"]],
        n_clips=max(run["n_clips"] for run in runs),
        provenance=json.loads(Path(sidecar(str(tfd_csv))).read_text(encoding="utf-8")),
    )
    write_text(page, text)


def _excluded(file: Path) -> dict[str, Any]:
    """How many videos were excluded, how many for which reason, and the first of them."""
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    shown = {"header": list(table.columns), "rows": table.head(_SHOWN).to_numpy().tolist()}
    return {"total": len(table), "reasons": by_reason(Counter(table["reason"])), "table": shown}


def _table(file: Path | None) -> dict[str, list[Any]] | None:
    return None if file is None else _main_columns(read_table(file))


def _by_split(file: Path | None) -> dict[str, dict[str, list[Any]]] | None:
    """The rows of each split as a table of their own."""
    if file is None:
        return None
    splits = read_table(file).groupby("split", sort=False)
    return {str(split): _main_columns(rows.drop(columns="split")) for split, rows in splits}


def _told_apart(file: Path | None, delta: str) -> dict[str, Any] | None:
    """The baseline, how many variants are compared with it in the column `delta`, and those that differ."""
    if file is None:
        return None
    table = read_table(file)
    compared = table[table[delta].notna()]
    names = {"delta": delta, "low": "delta_low", "high": "delta_high"}
    differ = [
        {"variant": row["variant"], **{short: f"{row[name]:+.1f}" for short, name in names.items()}}
        for row in compared.to_dict("records")
        if row["p_holm"] < ALPHA
    ]
    baseline = table.loc[table[delta].isna(), "variant"]
    return {"baseline": baseline.iloc[0], "compared": len(compared), "differ": differ, "alpha": f"{ALPHA:g}"}


def _teachers(file: Path | None) -> dict[str, Any] | None:
    """The table of the teacher's heads, and those in use that the gate refuses."""
    if file is None:
        return None
    table = read_table(file)
    refused = table[table["used"].astype(bool) & ~table["gate"].astype(bool)]
    return {
        "table": _main_columns(table.drop(columns="reason")),
        "refused": [
            {name: row[name] for name in ("teacher", "label", "reason")} for row in refused.to_dict("records")
        ],
    }


def _networks(file: Path | None) -> dict[str, Any] | None:
    """The table of teacher and assistant, and those that the gate refuses."""
    if file is None:
        return None
    table = read_table(file)
    refused = table[~table["gate"].astype(bool)]
    return {
        "table": _main_columns(table.drop(columns="reason")),
        "refused": [
            {name: row[name] for name in ("role", "network", "reason")} for row in refused.to_dict("records")
        ],
    }


def _modes(file: Path | None) -> list[dict[str, Any]]:
    """What the sentence about both modes says, a row for each exported head."""
    if file is None:
        return []
    rows = read_table(file).to_dict("records")
    return [
        {
            str(name): number(str(name), value) if isinstance(value, float) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def _main_columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    """The columns that have values, with `mean ± std` in one cell where there are several seeds."""
    table = table.dropna(axis="columns", how="all")
    names = [name for name in table.columns if not name.endswith("_std")]
    rows = [[_cell(row, name) for name in names] for row in table.to_dict("records")]
    return {"header": names, "rows": rows}


def _cell(row: Mapping[Hashable, Any], name: str) -> str:
    value, spread = row[name], row.get(f"{name}_std")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if pd.isna(value):
        return "–"
    text = number(name, value)
    return text if spread is None or pd.isna(spread) else f"{text} ± {number(name, spread)}"


def _by_count(any_frame: pd.DataFrame) -> dict[str, list[Any]]:
    table = any_frame.pivot_table(index="variant", columns="frames", values="acc", sort=False)
    rows = [
        [name, *(f"{value:.1f}" for value in values)]
        for name, values in zip(table.index, table.to_numpy(), strict=True)
    ]
    return {"header": ["variant", *map(str, table.columns)], "rows": rows}


def _drawing(path: Path | None) -> str | None:
    return None if path is None else _inline_svg(path)


def _inline_svg(path: Path) -> str:
    """The drawing itself, without the XML prologue that HTML does not allow.

    Names inside are made its own: matplotlib gives the marks of every drawing the same ones.
    """
    text = path.read_text(encoding="utf-8")
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{path.stem}-", text[text.index("<svg") :])
