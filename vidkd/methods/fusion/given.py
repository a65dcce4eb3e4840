"""What a training of a fusion head is given: files by the name of the network that their features are of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidkd.config.data import SPLITS
from vidkd.data.tables import read_classes
from vidkd.errors import UserError
from vidkd.features.splits import open_splits
from vidkd.features.store import find_feature_shards
from vidkd.methods.fusion.settings import FusionSettings
from vidkd.methods.fusion.sources import Sources, Splits, open_sources
from vidkd.named import named_files, named_places


@dataclass(frozen=True)
class Given:
    """What a head is made from.

    Attributes:
        settings: of the head.
        student: name of the student.
        features: by name of the network, then by split.
        converters: weights by teacher.
        classes: class names, JSON.
        learnt_from: files that are read to train and to choose.
        tested_on: files of the test split.
        modules: with code that no import statement mentions.
    """

    settings: FusionSettings
    student: str
    features: Mapping[str, Splits]
    converters: Mapping[str, Path]
    classes: Path
    learnt_from: Sequence[Path]
    tested_on: Sequence[Path]
    modules: Sequence[str] = ()

    @property
    def digests(self) -> str:
        """What made the features and how they are called, of those that no file among `learnt_from` says."""
        return " ".join([self.student, *(of["train"].meta.digest for of in self.features.values())])

    def open(self) -> Sources:
        """Choose and join the inputs; see `open_sources`, also for what is refused."""
        return open_sources(self.settings, self.student, self.features, self.converters, self.classes)


def given_files(
    settings: FusionSettings,
    student: str,
    places: Mapping[str, Sequence[str]],
    converters: Sequence[str],
    classes: Path,
) -> Given:
    """Open features by NAME=FILE.

    Args:
        settings: of the head.
        student: name of the student.
        places: by split, NAME=FILE or NAME=FOLDER; a name may come several times.
        converters: TEACHER=model.safetensors.
        classes: class names, JSON.

    Raises:
        UserError: a text is no NAME=FILE, a network lacks a split, or features cannot be opened.
    """
    named = {split: named_places(places[split], f"--{split}") for split in SPLITS}
    shards: dict[str, dict[str, list[Path]]] = {}
    for name in dict.fromkeys(name for of in named.values() for name in of):
        if missing := [split for split in SPLITS if name not in named[split]]:
            raise UserError(f"{name} has no --{missing[0]} {name}=FILE: give its features of every split")
        shards[name] = {split: find_feature_shards(named[split][name]) for split in SPLITS}
    weights = named_files(converters, "--converter")
    read = {split: [file for of in shards.values() for file in of[split]] for split in SPLITS}
    return Given(
        settings, student, {name: open_splits(of) for name, of in shards.items()}, weights, classes,
        [*read["train"], *read["val"], *files_of(weights), classes], read["test"],
    )  # fmt: skip


def files_of(converters: Mapping[str, Path]) -> Iterator[Path]:
    """The weights of converters, and the `config.json` beside each."""
    for weights in converters.values():
        yield from (weights, weights.with_name("config.json"))


def check_counts(given: Given, classes: int | None, frames: int | None) -> None:
    """Refuse a number of classes or of frames that is not that of the data.

    Args:
        given: what is trained on.
        classes: as asked for; None asks for nothing.
        frames: of a clip, as asked for; None asks for nothing.

    Raises:
        UserError: one disagrees.
    """
    if classes is not None and classes != (count := len(read_classes(given.classes))):
        raise UserError(
            f"--classes {classes}: {given.classes} has {count}: leave the option out, or correct it"
        )
    for name, of in given.features.items():
        meta = of["train"].meta
        if frames is not None and name == given.student and frames != meta.frames:
            raise UserError(
                f"--frames {frames}: the features of {name} are of clips of {meta.frames} frames: leave the "
                "option out, or set backbones.frames in the configuration and cache features again"
            )
