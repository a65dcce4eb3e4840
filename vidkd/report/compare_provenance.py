"""What made two results folders: settings, code, versions and data that are not the same, line by line."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from vidkd.paths import Paths
from vidkd.provenance import file_sha256
from vidkd.report.compare_folders import SHOWN, Folder, in_words, patterns, seed_folder, shortened

PROBES = Paths("").probe_table.removeprefix("/")
"""A table among the features."""

DATA = ("data", "demo", "source", "frames", "checkpoints", "features")
"""Folders whose files methods read."""

_ABOUT = {
    "artefact", "code", "device", "git", "inputs", "packages", "peak_memory_mb", "platform", "python", "seed",
    "wall_s",
}  # fmt: skip
"""What is no setting in a sidecar."""

_ABSENT = "absent"


def changed_settings(a: Folder, b: Folder) -> list[str]:
    """A line for each set of runs and files that have the same changes."""
    units: dict[str, set[str]] = defaultdict(set)
    for file in _shared(a, b):
        for change in _changes(_settings(a, file), _settings(b, file)):
            units[change].add(_unit(file))
    together: dict[frozenset[str], list[str]] = defaultdict(list)
    for change, where in units.items():
        together[frozenset(where)].append(change)
    known = {_unit(file) for file in _shared(a, b)}
    return [f"- {in_words(where, known)}: {'; '.join(changes)}" for where, changes in together.items()]


def changed_code(a: Folder, b: Folder) -> list[str]:
    """Files that other code made, and commits where these are others."""
    shared = _shared(a, b)
    changed = [file for file in shared if a.records[file].get("code") != b.records[file].get("code")]
    lines = []
    if changed:
        lines = [f"- other code made {len(changed)} of {len(shared)} files: {shortened(patterns(changed))}"]
    commits = {"A": _commits(a), "B": _commits(b)}
    if commits["A"] != commits["B"]:
        lines += [f"- commits of {name}: {shortened(found)}" for name, found in commits.items()]
    return lines


def changed_versions(a: Folder, b: Folder) -> list[str]:
    """Packages, Python, platforms and devices that are not the same."""
    one, other = _versions(a), _versions(b)
    return [
        f"- {name}: {_listed(one.get(name))} → {_listed(other.get(name))}"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    ]


def changed_data(a: Folder, b: Folder) -> list[str]:
    """Data that runs read: files of the folder in DATA, and files from elsewhere."""
    shared = [file for file in _shared(a, b) if file.partition("/")[0] in DATA and file != PROBES]
    changed = [file for file in shared if _sum(a, file) != _sum(b, file)]
    lines = []
    if changed:
        lines = [f"- {len(changed)} of {len(shared)} files differ: {shortened(patterns(changed))}"]
    one, other = _from_elsewhere(a), _from_elsewhere(b)
    moved = sorted(name for name in one.keys() & other.keys() if one[name] != other[name])
    if moved:
        lines.append(f"- files from elsewhere that differ: {shortened([f'`{name}`' for name in moved])}")
    for name, found in (("A", one.keys() - other.keys()), ("B", other.keys() - one.keys())):
        if found:
            lines.append(f"- read by {name} only: {shortened([f'`{file}`' for file in sorted(found)])}")
    return lines


def touched_files(folder: Folder, name: str) -> list[str]:
    """Tables and predictions that are not what their provenance says."""
    changed = [
        file
        for file in folder.records
        if PurePosixPath(file).suffix in (".csv", ".json") and not _holds(folder, file)
    ]
    if not changed:
        return []
    return [f"- changed in {name} after they were made: {shortened([f'`{file}`' for file in changed])}"]


def _holds(folder: Folder, file: str) -> bool:
    path, recorded = folder.path / file, _sum(folder, file)
    return not path.is_file() or recorded is None or file_sha256(path) == recorded


def _shared(a: Folder, b: Folder) -> list[str]:
    return [file for file in a.records if file in b.records]


def _unit(file: str) -> str:
    return seed_folder(file) or file


def _sum(folder: Folder, file: str) -> str | None:
    return folder.records[file].get("artefact", {}).get("sha256")


def _changes(one: Mapping[str, str], other: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(one.keys() | other.keys()):
        before, after = one.get(name, _ABSENT), other.get(name, _ABSENT)
        if before != after:
            yield f"{name} {before} → {after}"


def _settings(folder: Folder, file: str) -> dict[str, str]:
    """Settings and what else a sidecar says of what was asked for, by dotted name."""
    record = folder.records[file]
    found = {name: value for name, value in record.items() if name not in (*_ABOUT, "settings")}
    own = record.get("settings")
    values = found | (own if isinstance(own, dict) else {"settings": own})
    return {name: json.dumps(_placed(folder, value)) for name, value in _leaves(values)}


def _leaves(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _placed(folder: Folder, value: Any) -> Any:
    """A path in the folder as one from the folder, whatever that was called."""
    if isinstance(value, list):
        return [_placed(folder, item) for item in value]
    place = folder.place(value) if isinstance(value, str) else None
    return value if place is None else f"<results>/{place}"


def _from_elsewhere(folder: Folder) -> dict[str, frozenset[str]]:
    """Digests of the inputs that lie outside of the folder."""
    found: dict[str, set[str]] = defaultdict(set)
    for record in folder.records.values():
        for name, digest in record.get("inputs", {}).items():
            if folder.place(name) is None and digest is not None:
                found[name].add(digest)
    return {name: frozenset(digests) for name, digests in found.items()}


def _commits(folder: Folder) -> list[str]:
    found = set()
    for record in folder.records.values():
        git = record.get("git")
        dirty = " with changes that are in no commit" if git and git.get("dirty") else ""
        found.add(f"{git['commit'][:10]}{dirty}" if git else "none known")
    return sorted(found)


def _versions(folder: Folder) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for record in folder.records.values():
        for name in ("python", "platform", "device"):
            found[name].add(str(record.get(name)))
        for name, version in record.get("packages", {}).items():
            found[name].add(version)
    return found


def _listed(versions: set[str] | None) -> str:
    names = sorted(versions or {_ABSENT})
    return ", ".join(names[:SHOWN])
