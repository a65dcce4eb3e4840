"""What a feature cache holds, what made it, and whether it is sound, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from vidkd.artefacts import file_sha256, read_sidecar
from vidkd.data.shards import find_feature_shards
from vidkd.errors import UserError
from vidkd.features.meta import canonical
from vidkd.features.store import FeatureStore
from vidkd.paths import sidecar


def inspect_caches(places: Sequence[Path]) -> Iterator[tuple[str, int]]:
    """Look at every cache among `places`: files, and folders of shards, each folder one cache.

    Yields:
        A description of several lines, and how many problems the cache has.

    Raises:
        UserError: a place has no cache.
    """
    for _, files in groupby(find_feature_shards(places), key=lambda file: file.parent):
        yield _inspect(list(files))


def _inspect(files: Sequence[Path]) -> tuple[str, int]:
    sound, lines, problems = [], [], []
    for file in files:
        try:
            store = FeatureStore([file])
            store.verify()
            made = _made_by(file)
        except UserError as problem:
            problems.append(str(problem))
        else:
            sound.append(file)
            megabytes = file.stat().st_size / 1e6
            lines.append((file.name, f"{len(store)} videos, {megabytes:.1f} MB, all checksums match; {made}"))
    if sound:
        try:
            lines = [*_described(FeatureStore(sound)), *lines]
        except UserError as problem:
            problems.append(str(problem))
    texts = [str(files[0].parent), *(f"  {name:<16}{text}" for name, text in lines)]
    texts += [f"  PROBLEM         {problem}" for problem in problems]
    return "\n".join([*texts, f"  {len(sound)} of {len(files)} shards are sound"]), len(problems)


def _described(store: FeatureStore) -> Iterator[tuple[str, str]]:
    steps, width = store.shape
    yield "features", f"{len(store)} videos x {steps} x {width} {store.meta.dtype}"
    yield "labels", f"{len(set(store.label_ids.tolist()))} different"
    yield "padded", f"{int(store.padded.sum())} videos have fewer frames than a clip"
    for name, value in store.meta.attributes().items():
        yield name, str(value)


def _made_by(file: Path) -> str:
    """What the provenance beside a shard says.

    Raises:
        UserError: it is that of another file.
    """
    record = read_sidecar(file)
    if not record:
        return "no provenance beside it"
    try:
        about = {name: record[name] for name in ("git", "python", "device", "wall_s")}
    except KeyError as error:
        raise UserError(
            f"{sidecar(str(file))} is damaged (it has no {error}): delete it and {file}, and run again"
        ) from error
    if record["artefact"]["sha256"] != file_sha256(file):
        raise UserError(
            f"{file} is not the file that {sidecar(str(file))} describes: delete it and run snakemake "
            "features again"
        )
    return f"made by {canonical(about)}"
