"""What a step of a run reads, opened: the files that its Needs name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidkd.artefacts import check, existing
from vidkd.data.shards import find_feature_shards, find_shards
from vidkd.data.tables import read_classes
from vidkd.errors import UserError
from vidkd.methods.needs import Needs, Network, shards


@dataclass(frozen=True)
class Inputs:
    """The files that a step reads, by name; a name that is not there is a sentence."""

    needs: Needs

    def __post_init__(self) -> None:
        """Hold every file against its sidecar before any work.

        Raises:
            UserError: one is damaged.
        """
        for file in self.files:
            if file.is_file():
                check(file)

    def frames(self, split: str) -> list[Path]:
        """Find the frame stores of a split.

        Raises:
            UserError: none are named, or there are none.
        """
        if split not in self.needs.frames:
            raise UserError(f"frames of {split} are needed: give --frame-stores {split}=FOLDER")
        return find_shards([Path(file) for file in shards(self.needs.frames[split])])

    def features(self, name: str, *splits: str) -> dict[str, list[Path]]:
        """Find the feature stores of a network by split, of all its splits unless some are asked for.

        Raises:
            UserError: none are named, or there are none.
        """
        given = self.needs.features.get(name, {})
        if missing := [split for split in splits if split not in given]:
            raise UserError(
                f"features of {name} of {missing[0]} are needed: give --feature-stores "
                f"{name}.{missing[0]}=FOLDER"
            )
        return {
            split: find_feature_shards([Path(file) for file in shards(given[split])])
            for split in splits or given
        }

    @property
    def networks_with_features(self) -> list[str]:
        """The networks whose features are given, in their order."""
        return list(self.needs.features)

    @property
    def classes(self) -> Path:
        """Names of the classes.

        Raises:
            UserError: they are not named.
        """
        if self.needs.classes is None:
            raise UserError("names of the classes are needed: give --class-names FILE")
        return existing(self.needs.classes)

    @property
    def class_names(self) -> list[str]:
        """Class names in the order of the label ids.

        Raises:
            UserError: they are not there, or fewer than two.
        """
        names = read_classes(self.classes)
        if len(names) < 2:
            raise UserError(f"{self.classes} has {len(names)} class: a network has nothing to tell apart")
        return names

    @property
    def labels(self) -> Path:
        """Label of each video.

        Raises:
            UserError: it is not named.
        """
        if self.needs.labels is None:
            raise UserError("the label of each video is needed: give --label-list FILE")
        return existing(self.needs.labels)

    def network(self, role: str) -> Network | None:
        """Return a frozen network; None where none is given."""
        return self.needs.networks.get(role)

    def weights(self, name: str) -> Path:
        """Find the weights of another run.

        Raises:
            UserError: they are not named.
        """
        if not self.needs.weights.get(name):
            raise UserError(f"weights of {name} are needed: give --trained {name}=FILE")
        return existing(self.needs.weights[name][0])

    @property
    def runs(self) -> dict[str, list[Path]]:
        """The weights of all other runs that are given."""
        return {name: [existing(file) for file in files] for name, files in self.needs.weights.items()}

    def result(self, name: str) -> Path:
        """Find another file.

        Raises:
            UserError: it is not named.
        """
        return self.results(name)[0]

    def results(self, name: str) -> list[Path]:
        """Find other files of one name.

        Raises:
            UserError: they are not named.
        """
        if not self.needs.results.get(name):
            raise UserError(f"{name} is needed: give --file {name}=FILE")
        return [existing(file) for file in self.needs.results[name]]

    @property
    def files(self) -> Sequence[Path]:
        """Every file that is named, for stamps and sidecars; folders stand for themselves."""
        return [Path(file) for file in self.needs.files()]
