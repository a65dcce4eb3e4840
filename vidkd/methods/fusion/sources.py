"""The inputs of a fusion head: the student's features and those of teachers, real or converted.

A frozen converter makes features (`ConvertedFeatures`) which are as good as a cache of them. One that is
trained with the head is part of the method, and a batch has the student's features for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from accelerate import PartialState
from torch import Tensor

from vidkd.artefacts import file_sha256
from vidkd.backbones.live import live_splits
from vidkd.data.tables import read_classes
from vidkd.errors import UserError
from vidkd.features.batches import FeatureJoin, FeatureSource
from vidkd.features.meta import FeatureMeta
from vidkd.features.splits import open_splits
from vidkd.features.tokens import token_statistics
from vidkd.methods.converters.convert import ConvertedFeatures
from vidkd.methods.converters.load import converter_config, load_converter
from vidkd.methods.converters.model import Converter
from vidkd.methods.converters.pairs import LEARNT_FROM, lacking, layout, mixed
from vidkd.methods.fusion.settings import FusionSettings
from vidkd.methods.inputs import Inputs
from vidkd.methods.probes.rows import check_labels

_Splits = Mapping[str, FeatureSource]
"""Features of one network, by split."""


@dataclass(frozen=True)
class Input:
    """One input of the head.

    Attributes:
        kind: where its features come from; finetuned: from a converter that is trained on with the head.
        splits: its features; of a finetuned one, what its converter makes before that.
        converter: weights to train on, of a finetuned one.
    """

    kind: Literal["student", "real", "converted", "finetuned"]
    splits: _Splits
    converter: Path | None = None

    @property
    def meta(self) -> FeatureMeta:
        """How its features are made."""
        return self.splits["train"].meta

    @property
    def shape(self) -> tuple[int, int]:
        """(T', D) of its rows."""
        return self.splits["train"].shape

    def described(self) -> dict[str, object]:
        """Describe it for `config.json`, from which the head is built when it is loaded."""
        found: dict[str, object] = {"kind": self.kind, "shape": self.shape, "meta": self.meta.attributes()}
        if self.kind in ("converted", "finetuned"):
            found["weights_sha256"] = self.meta.weights_sha256
        if self.converter is not None:
            config = converter_config(self.converter)
            form = ("settings", "student_shape", "teacher_shape")
            found["converter"] = {name: config[name] for name in form}
        return found


@dataclass(frozen=True)
class FusionInputs:
    """Inputs of a head, and the batches of each split.

    Attributes:
        student: name of the student's features.
        classes: names in the order of the label ids.
        inputs: by name; the first is the trunk.
        joins: by split, what a batch has: every input, and the student's features instead of finetuned ones.
        left_out: where allow_missing allows it: by split and network, how many videos of the others it
            lacks, and the first of them.
    """

    student: str
    classes: list[str]
    inputs: dict[str, Input]
    joins: dict[str, FeatureJoin]
    left_out: dict[str, dict[str, dict[str, object]]]

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """(T', D) of each input."""
        return {name: of.shape for name, of in self.inputs.items()}

    def statistics(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Measure mean and deviation (D) of the training tokens of each input, before any more training."""
        stores = {name: of.splits["train"] for name, of in self.inputs.items()}
        return token_statistics(FeatureJoin(stores, allow_missing=True))

    def converters(self) -> dict[str, Converter]:
        """Load the converters to train on, by teacher."""
        paths = {name: of.converter for name, of in self.inputs.items()}
        return {name: load_converter(path) for name, path in paths.items() if path is not None}


def open_inputs(settings: FusionSettings, inputs: Inputs) -> FusionInputs:
    """Choose where each input of a head comes from, and join train and val.

    Args:
        settings: of the head; without teachers, all that something is given of.
        inputs: features of the student first, then teachers' own or converted ones, each as caches or as a
            network that sees the frames; weights of a converter by teacher, where converted features are not
            given or converters are trained on; class names.

    Raises:
        UserError: something is missing, left over, of another network or made from other features; videos
            are missing; a label is none of the classes; or tokens cannot be brought to one number.
    """
    names = inputs.networks_with_features
    if not names:
        raise UserError("there is no input: give features of the student or of a teacher")
    student, *_ = names
    given = {name: open_features(name, inputs, *LEARNT_FROM) for name in names if is_given(name, inputs)}
    converters = {name: inputs.weights(name) for name in inputs.runs}
    teachers = settings.teachers
    if teachers is None:
        teachers = tuple(dict.fromkeys(name for name in (*given, *converters) if name != student))
    _check_names(settings, student, teachers, given, converters)
    found: dict[str, Input] = {}
    if settings.student:
        found[student] = Input("student", _given(student, given))
    for name in teachers:
        found[name] = _teacher(name, settings, student, given, converters)
    if not found:
        raise UserError("there is no input: give features of the student or of a teacher")
    _check_one_student(found, student, given)
    _check_tokens(found)
    stores = {split: _stores(found, student, given, split) for split in LEARNT_FROM}
    joins = {split: FeatureJoin(of, settings.allow_missing) for split, of in stores.items()}
    classes = read_classes(inputs.classes)
    check_labels(joins, classes, inputs.classes)
    left_out = {split: missing for split, join in joins.items() if (missing := lacking(split, join))}
    return FusionInputs(student, classes, found, joins, left_out)


def is_given(name: str, inputs: Inputs) -> bool:
    """Say whether there are features of a network: caches of them, or the network itself."""
    return bool(inputs.needs.features.get(name)) or inputs.network(name) is not None


def open_features(name: str, inputs: Inputs, *splits: str) -> _Splits:
    """Open features of a network by split: caches, or frames where the network itself is given.

    Raises:
        UserError: they are not there or cannot be used.
    """
    network = inputs.network(name)
    if network is None:
        return open_splits(inputs.features(name, *splits))
    return live_splits({split: inputs.frames(split) for split in splits}, network.settings, name)


def _check_names(
    settings: FusionSettings,
    student: str,
    teachers: Collection[str],
    given: Mapping[str, _Splits],
    converters: Mapping[str, Path],
) -> None:
    if student in teachers:
        raise UserError(f"{student} is the student and a teacher: leave it out of teachers")
    if left_over := [name for name in (*given, *converters) if name not in {student, *teachers}]:
        raise UserError(
            f"{left_over[0]} is neither the student {student} nor one of the teachers "
            f"({', '.join(teachers) or 'none'}): leave it out, or name it in teachers"
        )
    if settings.features == "real" and converters:
        raise UserError(
            f"features are real, and a converter of {next(iter(converters))} is given: leave it out, or set "
            "features converted"
        )
    for name, splits in given.items():
        if (found := splits["train"].meta.backbone) != name:
            raise UserError(
                f"what is given as {name} are features of {found}: give those of {name}, or its own name"
            )


def _given(name: str, given: Mapping[str, _Splits]) -> _Splits:
    if name not in given:
        raise UserError(
            f"there are no features of {name}: give --feature-stores {name}.SPLIT=FOLDER for every split"
        )
    return given[name]


def _teacher(
    name: str,
    settings: FusionSettings,
    student: str,
    given: Mapping[str, _Splits],
    converters: Mapping[str, Path],
) -> Input:
    if settings.features == "real":
        own = Input("real", _given(name, given))
        if "converter" in own.meta.preprocessing:
            raise UserError(
                f"features are real, and what is given as {name} has been converted from a student's: give "
                f"the cache of {name} itself, or set features converted"
            )
        return own
    if name in given:
        if settings.finetune_converters:
            raise UserError(
                f"finetune_converters trains the converter of {name}, and what it makes cannot come from a "
                f"cache: give --trained {name}=model.safetensors in place of its features"
            )
        return Input("converted", _converted(name, given[name], converters.get(name)))
    if name not in converters:
        raise UserError(
            f"there is nothing of {name}: give --feature-stores {name}.SPLIT=FOLDER for every split, "
            f"converted, or --trained {name}=model.safetensors"
        )
    weights = converters[name]
    made = converting(name, weights, student, _given(student, given))
    return Input("finetuned", made, weights) if settings.finetune_converters else Input("converted", made)


def _converted(name: str, splits: _Splits, weights: Path | None) -> _Splits:
    """Features that are cached, if they are what `features: converted` means, and those of `weights`."""
    meta = splits["train"].meta
    if "converter" not in meta.preprocessing:
        raise UserError(
            f"features are converted, and what is given as {name} is of {name} itself: give what "
            "convert_features made of the student's, or set features real"
        )
    if weights is not None and file_sha256(weights) != meta.weights_sha256:
        raise UserError(
            f"the converted features of {name} are not those of {weights} but of other weights: run "
            "convert_features again, or leave the converter out"
        )
    return splits


def converting(name: str, weights: Path, student: str, splits: _Splits) -> _Splits:
    """Convert the student's features when they are asked for.

    Raises:
        UserError: it converts others.
    """
    config = converter_config(weights)
    if (config["student"], config["teacher"]) != (student, name):
        raise UserError(
            f"{weights} converts {config['student']} to {config['teacher']}, not {student} to {name}: give "
            "the converter of this pair"
        )
    converter = load_converter(weights).to(PartialState().device)
    return {split: ConvertedFeatures.of(source, converter, weights) for split, source in splits.items()}


def _check_one_student(inputs: Mapping[str, Input], student: str, given: Mapping[str, _Splits]) -> None:
    """All converted features are made of the same student's, and of those that are given."""
    made_of = {name: of.meta.preprocessing for name, of in inputs.items() if of.kind == "converted"}
    own: tuple[str, str] | None = None
    if student in given:
        meta = given[student]["train"].meta
        own = meta.digest, meta.weights_sha256
    for name, how in made_of.items():
        found = how["student"], how["student_weights_sha256"]
        own = own or found
        if found != own:
            what = "weights of it" if found[1] != own[1] else "features of it"
            raise UserError(
                f"the converted features of {name} were made from another {student} than the others: from "
                f"other {what}. Delete them and run convert_features again."
            )


def _check_tokens(inputs: Mapping[str, Input]) -> None:
    (trunk_name, trunk), *others = inputs.items()
    for name, of in others:
        alike = of.shape[0] == trunk.shape[0] and layout(of.meta) == layout(trunk.meta)
        if not alike and (mixed(of.meta) or mixed(trunk.meta)):
            raise UserError(
                f"{trunk_name} has {trunk.shape[0]} tokens and {name} {of.shape[0]}, in which time and place "
                "are mixed: they are not of the same places. Cache features with tokens time, one view and "
                "one crop"
            )


def _stores(
    inputs: Mapping[str, Input], student: str, given: Mapping[str, _Splits], split: str
) -> dict[str, FeatureSource]:
    """What a batch has: the student's features in the place of those of finetuned converters."""
    stores = {name: of.splits[split] for name, of in inputs.items() if of.kind != "finetuned"}
    if len(stores) < len(inputs):
        stores[student] = given[student][split]
    return stores
