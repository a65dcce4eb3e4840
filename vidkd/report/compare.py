"""What changed between two results folders, as a page of Markdown: the first is A, the second B.

Settings, code, versions, processors and bytes are compared by the sidecars, numbers by the tables.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from vidkd.errors import UserError
from vidkd.evaluate.tables import read_table
from vidkd.paths import sidecar

_SUFFIX = sidecar("")
_NAMES, _CELLS = 12, 40
"""How many names a line has at most, and how many cells are listed."""

_SECTIONS = {
    "code": "Code", "git": "Code", "inputs": "Inputs", "packages": "Versions", "python": "Versions",
    "platform": "Processor", "device": "Processor",
}  # fmt: skip
"""Where a difference in a part of the sidecar is listed; other parts are settings, but for _IGNORED."""

_IGNORED = ("artefact", "made_by", "wall_s", "peak_memory_mb")

_KINDS = ("*.safetensors", "*.onnx", "predictions.csv", "*.h5")
"""Files that are compared byte for byte."""

TABLES = re.compile(
    r"report/tables/(summary|per_class|efficiency)\.csv"
    r"|(?!(report|data|demo|source|logs|benchmarks)/)(?!(.*/)?(predictions|history)\.csv)"
)
"""The beginning of every table that is compared: the other tables of the report repeat these."""

VARYING = re.compile(r"ms(_|$)|peak_|wall_|seconds$|p(_|$)")
"""Columns of times and memory, which no run has twice, and of p, whose ratios mean nothing."""

_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""What a terminal would obey instead of showing it: a results folder of others may have names with it."""

_Records = Mapping[str, Mapping[str, str]]
"""The sidecar of each file that has one, by the file's place in the folder: JSON by dotted name."""


def compare(one: Path, other: Path, tolerance: float = 0.0) -> str:
    """Write the page; sections without a difference are left out.

    Args:
        one: results folder A.
        other: results folder B.
        tolerance: numbers in tables may differ by this share of the larger one.

    Raises:
        UserError: one of them is no results folder.
    """
    a, b = _read_records(one), _read_records(other)
    shared = sorted(a.keys() & b.keys())
    sections = {"In one folder only": [*_only("A", a, b), *_only("B", b, a)], **_changes(a, b, shared)}
    sections |= {"Bytes": _bytes(a, b, shared), "Tables": _tables(one, other, tolerance)}
    head = f"# Comparison of two results folders\n\nA: `{one}`\n\nB: `{other}`\n\n"
    head += f"{len(shared)} files with provenance are in both. Sections without a difference are left out."
    blocks = [f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items() if lines]
    return _CONTROL.sub("?", "\n\n".join([head, *blocks]).replace("<", r"\<")) + "\n"


def _read_records(folder: Path) -> _Records:
    """The sidecars of a results folder; paths in them that lie in it begin with `results:`.

    Raises:
        UserError: it has none, or one cannot be read.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: give the results folder of a run, such as results")
    records = {file.removesuffix(_SUFFIX): _record(folder / file) for file in _visible(folder, f"*{_SUFFIX}")}
    if not records:
        raise UserError(
            f"{folder} is no results folder: no file in it has its provenance (*{_SUFFIX}) beside it; give "
            "the results_dir of a configuration"
        )
    inputs = {name for record in records.values() for name in record.get("inputs", {})}
    roots = {name.removesuffix(f"/{place}") for name in inputs if (place := _place(name, records))}
    longest_first = sorted(roots, key=lambda root: (-len(root), root))
    return {file: dict(_leaves(record, longest_first)) for file, record in records.items()}


def _visible(folder: Path, pattern: str) -> list[str]:
    files = (file.relative_to(folder) for file in folder.rglob(pattern))
    return sorted(file.as_posix() for file in files if not any(part.startswith(".") for part in file.parts))


def _record(file: Path) -> dict[str, Any]:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {error}; make its file anew") from None
    if not isinstance(record, dict):
        raise UserError(f"{file} is no provenance: make its file anew")
    return record


def _place(name: str, records: Collection[str]) -> str | None:
    """Where an input lies in the folder, whatever that was called when it was read; None: elsewhere."""
    parts = PurePosixPath(name).parts
    return next((place for k in range(1, len(parts)) if (place := "/".join(parts[k:])) in records), None)


def _leaves(value: Any, roots: Iterable[str], name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, roots, f"{name}.{key}" if name else key)
        return
    text = json.dumps(value, ensure_ascii=False)
    for root in roots:
        text = text.replace(f'"{root}/', '"results:')
    yield name, text


def _unit(file: str) -> str:
    """The folder of a file's run, up to the seed; a file of no run itself, all shards as one."""
    run = re.match(r"(.+/)?seed\d+(?=/)", file)
    return run[0] if run else re.sub(r"shard_\d+", "shard_*", file)


def _listed(names: Iterable[str]) -> str:
    found = sorted(set(names))
    more = [f"and {len(found) - _NAMES} more"] if len(found) > _NAMES else []
    return ", ".join(found[:_NAMES] + more)


def _only(name: str, one: _Records, other: _Records) -> list[str]:
    """The runs and files that the other folder lacks; of a run that is in both, the files."""
    units = {_unit(file) for file in other}
    more = [file if _unit(file) in units else _unit(file) for file in one.keys() - other.keys()]
    return [f"- {name}: {_listed(more)}"] if more else []


def _changes(a: _Records, b: _Records, shared: Iterable[str]) -> dict[str, list[str]]:
    """By section a line for each set of runs and files that have the same changes in their sidecars."""
    units: dict[tuple[str, str], set[str]] = defaultdict(set)
    for file in shared:
        for name in sorted(a[file].keys() | b[file].keys()):
            before, after = (record[file].get(name, "absent") for record in (a, b))
            part, _, rest = name.partition(".")
            made_here = part == "inputs" and (_place(rest, a) or _place(rest, b))  # compared itself
            if before != after and part not in _IGNORED and not made_here:
                change = "other code" if part == "code" else f"{rest or part} {before} → {after}"
                units[_SECTIONS.get(part, "Settings"), change].add(_unit(file))
    together: dict[tuple[str, frozenset[str]], list[str]] = defaultdict(list)
    for (section, change), where in units.items():
        together[section, frozenset(where)].append(change)
    lines: dict[str, list[str]] = {section: [] for section in ("Settings", *_SECTIONS.values())}
    for (section, names), changes in together.items():
        lines[section].append(f"- {_listed(names)}: {'; '.join(changes)}")
    return lines


def _bytes(a: _Records, b: _Records, shared: Iterable[str]) -> list[str]:
    """How many files of each kind have the same bytes, by the sums in their sidecars."""
    lines = []
    for kind in _KINDS:
        files = [file for file in shared if PurePosixPath(file).match(kind)]
        differ = [file for file in files if a[file].get("artefact.sha256") != b[file].get("artefact.sha256")]
        if files:
            others = f"; these differ: {_listed(map(_unit, differ))}" if differ else ""
            lines.append(f"- {kind}: {len(files) - len(differ)} of {len(files)} are equal{others}")
    return lines


def _tables(one: Path, other: Path, tolerance: float) -> list[str]:
    """Cells that differ, the largest share first, and rows and columns that one table lacks."""
    cells: list[tuple[float, tuple[Any, ...]]] = []
    notes: list[str] = []
    names = [set(filter(TABLES.match, _visible(folder, "*.csv"))) for folder in (one, other)]
    for name in sorted(names[0] & names[1]):
        found, more = _cells(read_table(one / name), read_table(other / name))
        cells += [(share, (name, *cell)) for share, cell in found if share > tolerance]
        notes += [f"- {name}: {note}" for note in more]
    cells.sort(key=lambda cell: -cell[0])
    rows = [("table", "row", "column", "A", "B", "B − A"), ("---",) * 3 + ("---:",) * 3]
    rows += [cell for _, cell in cells[:_CELLS]]
    lines = [f"| {' | '.join(map(_shown, row))} |" for row in rows if cells]
    if len(cells) > _CELLS:
        lines += ["", f"{len(cells) - _CELLS} cells that differ less are left out."]
    return [*lines, *([""] if cells and notes else []), *notes]


def _cells(a: pd.DataFrame, b: pd.DataFrame) -> tuple[list[tuple[float, tuple[Any, ...]]], list[str]]:
    """Row, column, A, B and B − A of each cell, after the share by which it differs; notes on the rest."""
    key = _key(a, b)
    if not key:
        return [], ["its rows are not told apart by the same columns: not compared"]
    a, b = a.set_index(key), b.set_index(key)
    notes = [
        f"{what} in {folder} only: {_listed(map(_shown, more))}"
        for what, ours, theirs in (("rows", a.index, b.index), ("columns", a.columns, b.columns))
        for folder, more in (("A", ours.difference(theirs)), ("B", theirs.difference(ours)))
        if len(more)
    ]
    rows = a.index.intersection(b.index)
    a, b = a.reindex(rows), b.reindex(rows)
    found = []
    for column in [column for column in a if column in b and not VARYING.match(str(column))]:
        for row, before, after in zip(rows, a[column], b[column], strict=True):
            share, gain = _difference(before, after)
            found.append((share, (row, column, before, after, gain)))
    return found, notes


def _key(a: pd.DataFrame, b: pd.DataFrame) -> list[str]:
    """The first columns, as many as tell rows apart in both; none where these are not the same."""
    for count in range(1, len(a.columns) + 1):
        key = list(a.columns[:count])
        if key != list(b.columns[:count]) or pd.api.types.is_float_dtype(a[key[-1]]):
            break
        if not a.duplicated(key).any() and not b.duplicated(key).any():
            return key
    return []


def _difference(before: Any, after: Any) -> tuple[float, str]:
    """The share of the larger value by which two differ, and B − A; 1 and nothing if not both are numbers."""
    if before == after or (pd.isna(before) and pd.isna(after)):
        return 0.0, ""
    if all(type(value) in (int, float) and not math.isnan(value) for value in (before, after)):
        return abs(after - before) / max(abs(before), abs(after)), f"{after - before:+.6g}"
    return 1.0, ""


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value))
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()).replace("|", r"\|")
