"""The report page: one self-contained HTML file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from vidkd.config.settings import ReportSettings
from vidkd.data.census import by_reason
from vidkd.evaluate.tables import read_table
from vidkd.files import write_text
from vidkd.paths import sidecar

_SHOWN = 50


def build_page(
    tfd_csv: Path,
    any_frame_csv: Path,
    figure_svg: Path,
    excluded_csv: Path,
    metrics: Sequence[Path],
    page: Path,
    settings: ReportSettings,
    probes_csv: Path | None = None,
) -> None:
    """Write `page` with the tables, the TFD curve, gates that fired, excluded videos and provenance."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vidkd.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    tfd = read_table(tfd_csv)
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in metrics]
    text = environment.get_template("page.html").render(
        title=settings.title,
        tfd=_main_columns(tfd),
        any_frame=_by_count(read_table(any_frame_csv)),
        probes=_main_columns(read_table(probes_csv)) if probes_csv else None,
        figure=_inline_svg(figure_svg),
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


def _main_columns(tfd: pd.DataFrame) -> dict[str, list[Any]]:
    """The table with `mean ± std` in one cell where there are several seeds."""
    names = [name for name in tfd.columns if not name.endswith("_std")]
    rows = [[_cell(row, name) for name in names] for row in tfd.to_dict("records")]
    return {"header": names, "rows": rows}


def _cell(row: Mapping[Hashable, Any], name: str) -> str:
    value, spread = row[name], row.get(f"{name}_std")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if pd.isna(value):
        return "–"
    text = f"{value:.3f}" if name.startswith("gflops") else f"{value:.1f}"
    return text if spread is None or pd.isna(spread) else f"{text} ± {spread:.1f}"


def _by_count(any_frame: pd.DataFrame) -> dict[str, list[Any]]:
    table = any_frame.pivot_table(index="variant", columns="frames", values="acc", sort=False)
    rows = [
        [name, *(f"{value:.1f}" for value in values)]
        for name, values in zip(table.index, table.to_numpy(), strict=True)
    ]
    return {"header": ["variant", *map(str, table.columns)], "rows": rows}


def _inline_svg(path: Path) -> str:
    """The drawing itself, without the XML prologue that HTML does not allow."""
    text = path.read_text(encoding="utf-8")
    return text[text.index("<svg") :]
