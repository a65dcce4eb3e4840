"""Published results beside ours: what differs in the numbers, and in how they were measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from vidkd.config.protocols import OurProtocol, Protocols
from vidkd.config.references import Place, Protocol, Reference, Source

COLUMNS = (
    "data_set", "method", "network", "row", "ours", "theirs", "difference", "low", "high",
    "protocol_theirs", "protocol_ours", "same_protocol", "differs", "source",
)  # fmt: skip

MEASURED = ("network", "frames", "clips", "crops", "size", "split")
"""What both must say, and say the same: without it a difference says nothing."""

RECIPE = ("sampling", "training", "pretraining", "selection")
"""What must be the same where both say it."""

WORDS = {
    "frames": "{} frames",
    "clips": "{} clips",
    "crops": "{} crops",
    "size": "{} px",
    "sampling": "{} sampling",
    "pretraining": "from {}",
    "selection": "epoch chosen on the {}",
}


def reference_rows(
    references: Sequence[Reference],
    tables: Mapping[str, pd.DataFrame],
    data_set: str | None,
    protocols: Protocols,
) -> pd.DataFrame:
    """A row for each row of ours that a published result of the same data set stands beside.

    Args:
        references: published results.
        tables: ours by name: tfd, probes, trimodel, student; what is not there has no row.
        data_set: see `vidkd.config.references.data_set_of`; None has no row.
        protocols: how ours were measured.

    Returns:
        COLUMNS. `difference` is ours minus theirs in points; `low` and `high` are the ends of our interval,
        where our table has one of that column; `differs` says in words what is not the same.
    """
    rows = [
        _row(reference, name, row, _protocol(reference.ours, name, protocols))
        for reference in references
        if reference.data_set == data_set
        for name, row in _ours(reference.ours, tables, protocols)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _ours(
    place: Place, tables: Mapping[str, pd.DataFrame], protocols: Protocols
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """The rows of ours at a place that have a value, with their names."""
    table = tables.get(place.table, pd.DataFrame())
    if place.column not in table:
        return
    for row in table[table[place.column].notna()].to_dict("records"):
        name = _name(place, row)
        if name in place.variants or _is_probe(place, name, protocols):
            yield name, row


def _name(place: Place, row: Mapping[Any, Any]) -> str:
    return f"{row['backbone']}.{row['head']}" if place.table == "probes" else str(row["variant"])


def _is_probe(place: Place, name: str, protocols: Protocols) -> bool:
    if place.table != "probes":
        return False
    known = protocols.get(place.table, {}).get(name)
    return known is not None and known.kind == place.backbone_kind and name.endswith(f".{place.head}")


def _protocol(place: Place, name: str, protocols: Protocols) -> OurProtocol:
    """How a row is measured; where its columns are by frames, the column says how many."""
    protocol = protocols.get(place.table, {}).get(name, OurProtocol())
    found = re.fullmatch(r"acc_(\d+)f", place.column)
    return protocol.model_copy(update={"frames": int(found[1])}) if found else protocol


def _row(reference: Reference, name: str, row: Mapping[Any, Any], ours: OurProtocol) -> dict[str, Any]:
    place, theirs = reference.ours, reference.protocol
    value = row[place.column]
    differing = different(theirs, ours)
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
        "protocol_theirs": in_words(theirs),
        "protocol_ours": in_words(ours),
        "same_protocol": not differing,
        "differs": _differs(theirs, ours, differing),
        "source": cited(reference.source),
    }


def different(theirs: Protocol, ours: Protocol) -> list[str]:
    """The fields in which two protocols are not known to be the same."""
    found = []
    for name in (*MEASURED, *RECIPE):
        one, other = getattr(theirs, name), getattr(ours, name)
        unknown = one is None or other is None
        if (name in MEASURED) if unknown else one != other:
            found.append(name)
    return found


def in_words(protocol: Protocol) -> str:
    """What is known of a protocol: `TSM-ResNet50, 16 frames, 1 clip, 1 crop, 224 px, ...`."""
    names = [name for name in (*MEASURED, *RECIPE) if getattr(protocol, name) is not None]
    return ", ".join(_words(protocol, name) for name in names)


def cited(source: Source) -> str:
    """A source in one line."""
    where = f" ({source.where})" if source.where else ""
    return f"{source.title}, {source.year}, {source.url}{where}"


def _differs(theirs: Protocol, ours: Protocol, names: Sequence[str]) -> str:
    if not names:
        return ""
    one, other = (", ".join(_words(protocol, name) for name in names) for protocol in (theirs, ours))
    return f"theirs: {one}; ours: {other}"


def _words(protocol: Protocol, name: str) -> str:
    value = getattr(protocol, name)
    if value is None:
        return f"{name} not stated"
    words = WORDS.get(name, "{}").format(value)
    return words.removesuffix("s") if value == 1 and name in ("frames", "clips", "crops") else words
