"""What one step of a run reads, by name: inputs of its rule, and what its script is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field

from vidkd.config.backbones import BackboneSettings
from vidkd.config.base import Section

CONFIG = "config.json"

Store = str | tuple[str, ...]
"""A store: its files, a folder of them, or a text in which `{0..3}` stands for the shards 0 to 3."""


class Network(Section):
    """A frozen network that a step runs."""

    settings: BackboneSettings = Field(description="What it is, and where its weights are.")
    files: tuple[str, ...] = Field(default=(), description="Its files on this disk.")
    head: str | None = Field(default=None, description="Weights of its head, beside their config.json.")


class Needs(Section):
    """All that one step of a run reads, by name: inputs of its rule, and what its script is given."""

    frames: Mapping[str, Store] = Field(default={}, description="Frame stores by split.")
    features: Mapping[str, Mapping[str, Store]] = Field(
        default={}, description="Feature stores by network, then by split."
    )
    classes: str | None = Field(default=None, description="Names of the classes.")
    labels: str | None = Field(default=None, description="Label of each video, where stores do not have it.")
    label: str | None = Field(default=None, description="Name of the label.")
    marked_only: bool = Field(default=False, description="Training labels that are not marked are not used.")
    networks: Mapping[str, Network] = Field(default={}, description="Frozen networks by role.")
    weights: Mapping[str, tuple[str, ...]] = Field(
        default={}, description="Weights of other runs by name; config.json is read beside each."
    )
    results: Mapping[str, tuple[str, ...]] = Field(default={}, description="Other files by name.")

    def files(self) -> list[str]:
        """Every file, each once."""
        weights = [file for files in self.weights.values() for file in files]
        weights += [network.head for network in self.networks.values() if network.head]
        beside = [str(Path(file).with_name(CONFIG)) for file in weights]
        found = [
            *(shard for store in self.stores() for shard in shards(store)),
            *(file for file in (self.classes, self.labels) if file),
            *(file for network in self.networks.values() for file in network.files),
            *weights,
            *beside,
            *(file for files in self.results.values() for file in files),
        ]
        return list(dict.fromkeys(found))

    def stores(self) -> Iterator[Store]:
        """All stores."""
        yield from self.frames.values()
        for splits in self.features.values():
            yield from splits.values()

    def text(self) -> str:
        """As JSON, without what is not there."""
        return self.model_dump_json(exclude_defaults=True)


def shards(store: Store) -> list[str]:
    """The files of a store; a folder stands for itself."""
    if isinstance(store, tuple):
        return list(store)
    before, opened, rest = store.partition("{")
    if not opened:
        return [store]
    span, _, after = rest.partition("}")
    first, last = map(int, span.split(".."))
    return [f"{before}{number}{after}" for number in range(first, last + 1)]
