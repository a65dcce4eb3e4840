"""The numbers of two results folders: runs clip by clip, tables cell by cell."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vidkd.errors import UserError
from vidkd.evaluate.classes import read_predictions, reported_count
from vidkd.evaluate.statistics import ALPHA, holm, mean_interval, sign_flip_p
from vidkd.evaluate.tables import read_table
from vidkd.report.compare_folders import Folder, shortened

SHOWN = 20
"""Cells of tables that are listed at most."""

ELSEWHERE = ("data", "demo", "source", "report", "logs", "benchmarks")
"""Folders whose tables are not results of their own."""

LEFT_OUT = re.compile(r"ms(_|$)|peak_|wall_|seconds$|p(_|$)")
"""Columns of times and memory, which no run has twice, and of p, whose ratios mean nothing."""

Runs = dict[str, dict[str, Path]]
"""Predictions by variant (`ffn/st4`) and seed (`seed0`; empty where there are none)."""


@dataclass(frozen=True)
class Pair:
    """One variant in both folders, on the clips that all its runs have with one label.

    Attributes:
        name: the variant.
        seeds: how many are in both.
        right: of each clip how many seeds of A and of B are right, and how many predictions differ.
        notes: clips and labels that are not the same.
    """

    name: str
    seeds: int
    right: pd.DataFrame
    notes: list[str]


def compare_runs(a: Folder, b: Folder) -> list[str]:
    """The lines on runs: a table of those whose predictions differ, and what is not in both."""
    one, other = _runs(a.path), _runs(b.path)
    pairs = [_pair(name, one[name], other[name]) for name in one if name in other]
    compared = [pair for pair in pairs if len(pair.right)]
    lines = _table(compared)
    for pair in pairs:
        lines += [f"- {pair.name}: {note}" for note in pair.notes]
    for folder, names in (("A", one.keys() - other.keys()), ("B", other.keys() - one.keys())):
        if names:
            lines.append(f"- only in {folder}: {shortened(sorted(names))}")
    return lines


def compare_tables(a: Folder, b: Folder) -> list[str]:
    """Cells that differ, the largest share of their value first; tables of the same name and key."""
    cells: list[tuple[float, list[str]]] = []
    notes: list[str] = []
    for name in sorted(_tables(a.path) & _tables(b.path)):
        found, note = _cells(name, read_table(a.path / name), read_table(b.path / name))
        cells += found
        notes += note
    if not cells:
        return notes
    cells.sort(key=lambda cell: -cell[0])
    header = ["table", "row", "column", "A", "B"]
    lines = markdown([cell for _, cell in cells[:SHOWN]], header, text=3)
    if len(cells) > SHOWN:
        lines += ["", f"{len(cells) - SHOWN} cells that differ less are left out."]
    return [*lines, *([""] if notes else []), *notes]


def markdown(rows: Sequence[Sequence[str]], header: Sequence[str], text: int) -> list[str]:
    """The lines of a table; so many columns are text, the others numbers."""
    ruler = ["---"] * text + ["---:"] * (len(header) - text)
    return [f"| {' | '.join(cells)} |" for cells in (header, ruler, *rows)]


# ---- runs


def _runs(folder: Path) -> Runs:
    found: Runs = defaultdict(dict)
    for file in sorted(folder.rglob("predictions.csv")):
        parts = file.relative_to(folder).parts[:-1]
        if any(part.startswith(".") for part in parts):
            continue
        seeded = bool(parts) and re.fullmatch(r"seed\d+", parts[-1]) is not None
        found["/".join(parts[:-1] if seeded else parts)][parts[-1] if seeded else ""] = file
    return found


def _pair(name: str, one: dict[str, Path], other: dict[str, Path]) -> Pair:
    seeds = [seed for seed in one if seed in other]
    notes = [
        f"{', '.join(sorted(more))} in {folder} only"
        for folder, more in (("A", one.keys() - other.keys()), ("B", other.keys() - one.keys()))
        if more
    ]
    tables = []
    for seed in seeds:
        notes += _gates(seed, one[seed], other[seed])
        joined, note = _joined(one[seed], other[seed])
        tables.append(joined)
        notes += [text for text in note if text not in notes]
    if not seeds:
        return Pair(name, 0, pd.DataFrame(), notes)
    common = pd.concat(tables, axis="columns", join="inner", keys=seeds)
    right = common.T.groupby(level=1).sum().T if len(common) else pd.DataFrame()
    return Pair(name, len(seeds), right, notes)


def _gates(seed: str, one: Path, other: Path) -> list[str]:
    """Whether the result gate failed in one folder only."""
    a, b = (_passed(path.with_name("metrics.json")) for path in (one, other))
    if a == b or None in (a, b):
        return []
    return [f"{seed or 'it'} fails the result gate in {'A' if b else 'B'} only"]


def _passed(metrics: Path) -> bool | None:
    if not metrics.is_file():
        return None
    passed: bool | None = json.loads(metrics.read_text(encoding="utf-8")).get("result_gate", {}).get("passed")
    return passed


def _joined(one: Path, other: Path) -> tuple[pd.DataFrame, list[str]]:
    """Of each clip that two runs have with one label: `a` and `b` are right, and `changed`; all 0 or 1."""
    counts = [reported_count(pd.read_csv(path, nrows=0)) for path in (one, other)]
    if counts[0] != counts[1]:
        return pd.DataFrame(), [f"A is of {counts[0]} frames and B of {counts[1]}: not compared"]
    a, b = (_predictions(path) for path in (one, other))
    joined = a.add_suffix("_a").join(b.add_suffix("_b"), how="inner")
    notes = []
    if len(joined) < max(len(a), len(b)):
        notes.append(f"A has {len(a)} clips and B {len(b)}, {len(joined)} of them in both")
    same = joined["label_id_a"] == joined["label_id_b"]
    if not same.all():
        notes.append(f"{(~same).sum()} clips have another label in B and are left out")
    joined = joined[same]
    found = {
        "a": joined["pred_a"] == joined["label_id_a"],
        "b": joined["pred_b"] == joined["label_id_b"],
        "changed": joined["pred_a"] != joined["pred_b"],
    }
    return pd.DataFrame(found).astype(np.int64), notes


def _predictions(path: Path) -> pd.DataFrame:
    table = read_predictions(path).set_index("video_id")[["label_id", "pred"]]
    if table.index.has_duplicates:
        twice = table.index[table.index.duplicated()][0]
        raise UserError(f"{path} has video {twice!r} twice: delete it and run again")
    return table


def _table(pairs: Sequence[Pair]) -> list[str]:
    """The lines of the table, and which of its rows differ by more than other clips would explain."""
    differences = [(pair.right["b"] - pair.right["a"]).to_numpy() for pair in pairs]
    p_values = [sign_flip_p(difference) for difference in differences]
    adjusted = holm(p_values)
    rows, differ = [], []
    for pair, difference, p, p_holm in zip(pairs, differences, p_values, adjusted, strict=True):
        if pair.right["changed"].any():
            rows.append([*_figures(pair, difference), f"{p:.4f}", f"{p_holm:.4f}"])
            differ += [pair.name] if p_holm < ALPHA else []
    if not rows:
        return []
    header = ["run", "seeds", "clips", "changed", "A", "B", "B − A", "95% interval", "p", "p, Holm"]
    same = len(pairs) - len(rows)
    return [
        *markdown(rows, header, text=1),
        "",
        f"- {_told_apart(differ)} Holm's correction is for the {len(pairs)} variants in both"
        + (f", of which {same} have the same predictions." if same else "."),
    ]


def _told_apart(names: Sequence[str]) -> str:
    """Which differ, as far as other clips are concerned."""
    if not names:
        return f"None differs by more than other clips would explain (p < {ALPHA:g})."
    return f"These differ by more than other clips would explain (p < {ALPHA:g}): {shortened(list(names))}."


def _figures(pair: Pair, difference: np.ndarray) -> list[str]:
    percent = 100 / pair.seeds
    low, high = (percent * end for end in mean_interval(difference))
    return [
        pair.name,
        str(pair.seeds),
        str(len(pair.right)),
        str(pair.right["changed"].sum()),
        f"{percent * pair.right['a'].mean():.2f}",
        f"{percent * pair.right['b'].mean():.2f}",
        f"{percent * difference.mean():+.2f}",
        f"{low:+.2f} to {high:+.2f}",
    ]


# ---- tables


def _tables(folder: Path) -> set[str]:
    names = {file.relative_to(folder).as_posix() for file in folder.rglob("*.csv")}
    return {
        name
        for name in names
        if name.partition("/")[0] not in ELSEWHERE
        and name.rpartition("/")[2] not in ("predictions.csv", "history.csv")
        and "/." not in f"/{name}"
    }


def _cells(
    name: str, one: pd.DataFrame, other: pd.DataFrame
) -> tuple[list[tuple[float, list[str]]], list[str]]:
    """The cells of a table that differ, each with the share by which, and what cannot be compared."""
    key = _key(one, other)
    if key is None:
        return [], [f"- `{name}`: its rows are not told apart by the same columns: not compared"]
    a, b = one.set_index(key), other.set_index(key)
    notes = [
        f"- `{name}`: rows in {folder} only: {shortened([_row(row) for row in more])}"
        for folder, more in (("A", a.index.difference(b.index)), ("B", b.index.difference(a.index)))
        if len(more)
    ]
    rows = a.index.intersection(b.index)
    a, b = a.reindex(rows), b.reindex(rows)
    columns = [str(column) for column in a if column in b and not LEFT_OUT.match(str(column))]
    columns = [column for column in columns if _comparable(a[column]) and _comparable(b[column])]
    for folder, there, absent in (("A", a, b), ("B", b, a)):
        if more := [column for column in columns if (there[column].notna() & absent[column].isna()).any()]:
            notes.append(f"- `{name}`: values in {folder} only: {shortened(more)}")
    pairs = (
        (row, column, before, after)
        for column in columns
        for row, before, after in zip(rows, a[column], b[column], strict=True)
    )
    return list(_differing(name, pairs)), notes


def _differing(name: str, pairs: Iterator[tuple[Any, Any, Any, Any]]) -> Iterator[tuple[float, list[str]]]:
    for row, column, before, after in pairs:
        share = _share(float(before), float(after))
        if share > 0:
            yield share, [f"`{name}`", _row(row), str(column), _shown(before), _shown(after)]


def _key(one: pd.DataFrame, other: pd.DataFrame) -> list[str] | None:
    """The first columns, as many as tell rows apart; None where they are not the same in both tables."""
    for count in range(1, len(one.columns) + 1):
        key = list(one.columns[:count])
        if key != list(other.columns[:count]) or pd.api.types.is_float_dtype(one[key[-1]]):
            return None
        if not one.duplicated(key).any() and not other.duplicated(key).any():
            return key
    return None


def _comparable(values: pd.Series) -> bool:
    """Numbers, and whether something is so."""
    return pd.api.types.is_numeric_dtype(values)


def _share(before: float, after: float) -> float:
    """By how much of the larger of them two values differ; 0 where one is not there."""
    largest = max(abs(before), abs(after))
    return abs(before - after) / largest if largest > 0 and not math.isnan(before - after) else 0.0


def _row(key: Any) -> str:
    """The names of a row, which may be class labels, so that they end no cell and are no HTML."""
    text = ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)
    return re.sub(r"([|<])", r"\\\1", " ".join(text.split()))


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, bool | np.bool_) else f"{value:.6g}"
