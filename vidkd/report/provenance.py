"""What made the runs of a report, from the `.provenance.json` beside their files, and what that took."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vidkd.artefacts import read_sidecar
from vidkd.evaluate.tables import read_csv

_MAKING = ("model.safetensors", "predictions.csv")
"""Files of a run whose provenance is told, the first that is there: an ensemble has no weights of its own."""

_ALL = "all variants"

_MADE_BY = (
    "method", "variant", "seed", "commit", "changed_since", "code", "settings", "device", "python", "torch",
    "snakemake", "wall_s", "memory_mb",
)  # fmt: skip


def tabulate_provenance(metrics: Sequence[Path]) -> pd.DataFrame:
    """Make a row for each run: what its weights, or else its predictions, say that made them."""
    rows = []
    for path in metrics:
        method, variant, seed = path.parts[-4:-1]
        row = {"method": method, "variant": variant, "seed": int(seed.removeprefix("seed"))}
        rows += [row | _made_by(record) for record in _records(path)]
    return pd.DataFrame(rows, columns=list(_MADE_BY))


def tabulate_settings(metrics: Sequence[Path]) -> pd.DataFrame:
    """Make a row for each setting of each variant; once where all variants of a method have the same."""
    rows = []
    for method, variants in _settings(metrics).items():
        values = pd.DataFrame(variants).fillna("")
        for setting, by_variant in values.iterrows():
            alike = by_variant.nunique() == 1
            named = {_ALL: by_variant.iloc[0]} if alike else by_variant.to_dict()
            rows += [
                {"method": method, "setting": setting, "variant": variant, "value": value}
                for variant, value in named.items()
            ]
    return pd.DataFrame(rows, columns=["method", "setting", "variant", "value"])


def _settings(metrics: Sequence[Path]) -> dict[str, dict[str, dict[str, str]]]:
    """Method → variant → setting → its value as JSON, of the first seed of each."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for path in metrics:
        method, variant = path.parts[-4:-2]
        for record in _records(path):
            found.setdefault(method, {}).setdefault(variant, dict(_flat(record["settings"])))
    return found


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", json.dumps(value)


def _records(metrics: Path) -> Iterator[dict[str, Any]]:
    """The record of the run beside `metrics`, if it has one."""
    for name in _MAKING:
        if record := read_sidecar(metrics.with_name(name)):
            yield record
            return


def tabulate_benchmarks(folder: Path) -> pd.DataFrame:
    """Make a row for each rule: jobs, seconds of all, and the most memory of one, in MB."""
    rows = []
    for rule in sorted(path for path in folder.iterdir() if path.is_dir()):
        # A rule that is running has a folder, but no file yet.
        if files := sorted(rule.glob("*.tsv")):
            jobs = pd.concat([read_csv(file, ["s", "max_rss"], sep="\t", na_values="-") for file in files])
            row = {"rule": rule.name, "jobs": len(jobs), "seconds": jobs["s"].sum()}
            rows.append(row | {"memory_mb": jobs["max_rss"].max()})
    return pd.DataFrame(rows, columns=["rule", "jobs", "seconds", "memory_mb"])


def _made_by(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the provenance of one artefact says, in short."""
    git, packages = record["git"] or {}, record["packages"]
    return {
        "commit": git.get("commit", "")[:10],
        "changed_since": git.get("dirty", ""),
        "code": record["code"][:10],
        "settings": _digest(record["settings"]),
        "device": record["device"],
        "python": record["python"],
        "torch": packages.get("torch", ""),
        "snakemake": packages.get("snakemake", ""),
        "wall_s": record["wall_s"],
        "memory_mb": record["peak_memory_mb"],
    }


def _digest(settings: object) -> str:
    """What tells settings that differ."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]
