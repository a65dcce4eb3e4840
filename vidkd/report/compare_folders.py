"""A results folder that is compared with another: its sidecars, and names of many files in few words."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vidkd.config.data import SPLITS
from vidkd.errors import UserError
from vidkd.paths import sidecar

SUFFIX = sidecar("")

SHOWN = 8
"""Names that a line has at most; the others are counted."""

_SEED = re.compile(r"seed\d+")


@dataclass(frozen=True)
class Folder:
    """A results folder.

    Attributes:
        path: where it is.
        records: the sidecar of each file that has one, by the file's place in the folder.
        roots: what the folder was called when its files were made, as paths in the sidecars begin.
    """

    path: Path
    records: Mapping[str, dict[str, Any]]
    roots: tuple[str, ...]

    def place(self, path: str) -> str | None:
        """Where a path of a sidecar lies in the folder; None: elsewhere."""
        root = next((root for root in self.roots if path.startswith(f"{root}/")), None)
        return None if root is None else path.removeprefix(f"{root}/")


def read_folder(path: Path) -> Folder:
    """A results folder, with all of its sidecars.

    Raises:
        UserError: it has none, or one cannot be read.
    """
    if not path.is_dir():
        raise UserError(f"{path} is no folder: give the results folder of a run, such as results")
    records = {
        file.relative_to(path).as_posix().removesuffix(SUFFIX): _record(file)
        for file in sorted(path.rglob(f"*{SUFFIX}"))
        if not any(part.startswith(".") for part in file.relative_to(path).parts)
    }
    if not records:
        raise UserError(
            f"{path} is no results folder: no file in it has its provenance (*{SUFFIX}) beside it; give the "
            "results_dir of a configuration"
        )
    return Folder(path, records, _roots(records))


def seed_folder(file: str) -> str | None:
    """The folder of the run that a file is of; None: it is of none."""
    parts = PurePosixPath(file).parts
    at = next((number for number, part in enumerate(parts) if _SEED.fullmatch(part)), None)
    return None if at is None else "/".join(parts[: at + 1])


def in_words(units: Collection[str], known: Collection[str]) -> str:
    """Runs and files in few words: `all 12 runs of trimodel, ffn/st4`.

    Args:
        units: folders of runs, and files.
        known: all that there are.
    """
    of_runs = [unit for unit in units if seed_folder(unit) == unit]
    names: list[str] = []
    for method, runs in _by(_method, of_runs).items():
        every = [unit for unit in known if seed_folder(unit) == unit and _method(unit) == method]
        if len(runs) == len(every) > 1:
            names.append(f"all {len(runs)} runs of {method}")
        else:
            names += _variants(runs, every)
    names += patterns(sorted(set(units) - set(of_runs)))
    return shortened(names)


def patterns(files: Iterable[str]) -> list[str]:
    """Files with what only counts them as *, and how many each stands for."""
    counts = Counter(_pattern(file) for file in files)
    folders: dict[tuple[str, int], list[str]] = defaultdict(list)
    for pattern, count in counts.items():
        folder, _, name = pattern.rpartition("/")
        folders[folder, count].append(name)
    return [_joined(folder, names, count) for (folder, count), names in folders.items()]


def shortened(names: list[str]) -> str:
    """Names with commas, the first SHOWN of them."""
    more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return ", ".join(names[:SHOWN] + more)


def _joined(folder: str, names: list[str], count: int) -> str:
    name = names[0] if len(names) == 1 else f"{{{','.join(names)}}}"
    return f"`{folder}/{name}`" + (f" ({count * len(names)} files)" if count > 1 else "")


def _pattern(file: str) -> str:
    """A file with its seed, its variant, its split and its shard as *."""
    parts = list(PurePosixPath(file).parts)
    run = seed_folder(file)
    if run is not None:
        at = len(PurePosixPath(run).parts) - 1
        parts[at] = "seed*"
        parts[1:at] = ["*"] * (at - 1)
    parts[1:-1] = ["*" if part in SPLITS else part for part in parts[1:-1]]
    parts[-1] = re.sub(r"^shard_\d+", "shard_*", parts[-1])
    return "/".join(parts)


def _variants(runs: list[str], every: list[str]) -> list[str]:
    """Runs of a method by variant; the seeds are named where they are not all."""
    names = []
    for variant, seeds in _by(_variant, runs).items():
        all_of_it = [run for run in every if _variant(run) == variant]
        names += [variant] if len(seeds) == len(all_of_it) else seeds
    return names


def _by(key: Any, units: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for unit in sorted(units):
        found[key(unit)].append(unit)
    return found


def _method(unit: str) -> str:
    return unit.partition("/")[0]


def _variant(run: str) -> str:
    return run.rpartition("/")[0]


def _record(file: Path) -> dict[str, Any]:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {error}; make its file anew") from None
    if not isinstance(record, dict):
        raise UserError(f"{file} is no provenance: make its file anew")
    return record


def _roots(records: Mapping[str, dict[str, Any]]) -> tuple[str, ...]:
    """What paths of inputs have before the place of a file in the folder, the longest first."""
    found: set[str] = set()
    for record in records.values():
        for name in record.get("inputs", {}):
            parts = PurePosixPath(name).parts
            at = next((k for k in range(1, len(parts)) if "/".join(parts[k:]) in records), None)
            if at is not None:
                found.add(str(PurePosixPath(*parts[:at])))
    return tuple(sorted(found, key=len, reverse=True))
