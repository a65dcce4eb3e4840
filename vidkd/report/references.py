"""Published results beside ours. How each was measured is for the reader to compare."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from vidkd.config.references import Place, Protocol, Reference, Source

COLUMNS = (
    "data_set", "method", "network", "row", "ours", "theirs", "difference", "low", "high", "frames",
    "protocol", "source",
)  # fmt: skip

_WORDS = {
    "frames": "{} frames",
    "clips": "{} clips",
    "crops": "{} crops",
    "size": "{} px",
    "split": "{}",
    "sampling": "{} sampling",
    "training": "{}",
    "pretraining": "from {}",
    "selection": "epoch chosen on the {}",
}
"""Fields of a protocol in the order in which it is written, and how each is said."""


def reference_rows(
    references: Sequence[Reference],
    tables: Mapping[str, pd.DataFrame],
    data_set: str | None,
    kinds: Mapping[str, str],
) -> pd.DataFrame:
    """Make a row for each row of ours that a published result of the same data set stands beside.

    Args:
        references: published results.
        tables: ours by name, and summary for frame counts; any may be absent.
        data_set: see `vidkd.config.references.data_set_of`; None has no row.
        kinds: kind of each backbone, by which rows without a variant are found.

    Returns:
        COLUMNS. `difference` is ours minus theirs in points; `low` and `high` are the ends of our interval,
        where our table has one of that column; `frames` are ours, where they are known.
    """
    rows = [
        _row(reference, name, row, _frames(reference.ours, name, tables))
        for reference in references
        if reference.data_set == data_set
        for name, row in _ours(reference.ours, tables, kinds)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _ours(
    place: Place, tables: Mapping[str, pd.DataFrame], kinds: Mapping[str, str]
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """The rows of ours at a place that have a value, with their names."""
    table = tables.get(place.table, pd.DataFrame())
    if place.column not in table:
        return
    for row in table[table[place.column].notna()].to_dict("records"):
        if place.backbone_kind is not None:
            if (kinds.get(row["backbone"]), row["head"]) == (place.backbone_kind, place.head):
                yield f"{row['backbone']}.{row['head']}", row
        elif row["variant"] in place.variants:
            yield row["variant"], row


def _frames(place: Place, name: str, tables: Mapping[str, pd.DataFrame]) -> float:
    """Frames of a clip of ours: from the name of the column, or from the summary."""
    if found := re.fullmatch(r"acc_(\d+)f", place.column):
        return int(found[1])
    summary = tables.get("summary")
    if summary is None:
        return math.nan
    frames = summary.loc[(summary["method"] == place.table) & (summary["variant"] == name), "frames"]
    return float(frames.iloc[0]) if len(frames) else math.nan


def _row(reference: Reference, name: str, row: Mapping[Any, Any], frames: float) -> dict[str, Any]:
    place = reference.ours
    value = row[place.column]
    interval = {end: row.get(end) for end in ("low", "high")} if place.column == "top1" else {}
    return {
        "data_set": reference.data_set,
        "method": reference.method,
        "network": reference.network,
        "row": f"{place.table}: {name}, {place.column}",
        "ours": value,
        "theirs": reference.value,
        "difference": value - reference.value,
        **interval,
        "frames": frames,
        "protocol": in_words(reference.protocol),
        "source": cited(reference.source),
    }


def in_words(protocol: Protocol) -> str:
    """Say what a source says of its protocol: `16 frames, 1 clip, 1 crop, 224 px, ...`."""
    values = {name: getattr(protocol, name) for name in _WORDS}
    words = {name: _WORDS[name].format(value) for name, value in values.items() if value is not None}
    return ", ".join(text.removesuffix("s") if values[name] == 1 else text for name, text in words.items())


def cited(source: Source) -> str:
    """Cite a source in one line."""
    where = f" ({source.where})" if source.where else ""
    return f"{source.title}, {source.year}, {source.url}{where}"
