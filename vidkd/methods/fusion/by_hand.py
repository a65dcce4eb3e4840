"""Training a fusion head by hand, with the options of seed 003, in video mode or from caches.

A configuration says where everything is. In video mode the student, and teachers where features are real, run
on the stored frames whenever a batch is asked for; caches of float32 give the same bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from vidkd.backbones.live import live_splits
from vidkd.backbones.registry import module_of
from vidkd.config.backbones import BackboneSettings
from vidkd.config.data import SPLITS
from vidkd.config.fusion import FusionSettings
from vidkd.config.load import load_settings
from vidkd.config.options import INPUT
from vidkd.config.problems import nearest
from vidkd.config.settings import Settings
from vidkd.data.feature_splits import open_splits
from vidkd.data.features import find_feature_shards
from vidkd.data.frames import find_shards
from vidkd.errors import UserError
from vidkd.methods.converters.load import converter_config
from vidkd.methods.fusion.given import Given, check_counts, files_of, given_files
from vidkd.methods.fusion.sources import Splits
from vidkd.paths import Paths
from vidkd.provenance import ROOT

_COUNT = click.IntRange(min=1)
_NAMES = "NAME=FILE"
_OPTIONS = (
    click.option("--student", help="Name of the student; by hand that of the configuration is the default."),
    click.option("--train", multiple=True, metavar=_NAMES, help="Features of a network to train on."),
    click.option("--val", multiple=True, metavar=_NAMES, help="They choose the epoch and the trial."),
    click.option("--test", multiple=True, metavar=_NAMES, help="They are predicted, once."),
    click.option(
        "--converter", multiple=True, metavar="TEACHER=FILE", help="Weights of a converter, where features "
        "are converted now or it is trained on.",
    ),
    click.option("--class-names", type=INPUT, help="Class names, JSON."),
    click.option(
        "--dataset", help="By hand: a configuration, by its name in config/experiments, as a .yaml file, or "
        "demo. It says where everything is.",
    ),
    click.option("--root", help="By hand: another results folder than the configuration's."),
    click.option("--split", default="train", help="By hand: the split to train on; it must be train."),
    click.option("--teachers", multiple=True, metavar="A,B,...", help="Teachers that are inputs."),
    click.option(
        "--converters", multiple=True, metavar="PREFIX", help="By hand: results/converters/NAME, for "
        "the converter of each teacher and this seed, or model.safetensors files.",
    ),
    click.option("--classes", type=_COUNT, help="Number of classes that is expected."),
    click.option("--frames", type=_COUNT, help="Frames of the student's clips that are expected."),
    click.option("--batch", type=_COUNT, help="Clips in a batch: --batch-size by the name of seed 003."),
    click.option(
        "--use-cached-features", is_flag=True, help="By hand: read caches; without it frames go through the "
        "network. What --train names is cached anyway.",
    ),
)  # fmt: skip


def seed_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options; `function` gets `given` in their place."""

    @functools.wraps(function)
    def wrapped(
        *,
        settings: FusionSettings,
        seed: int,
        student: str | None,
        train: Sequence[str],
        val: Sequence[str],
        test: Sequence[str],
        converter: Sequence[str],
        class_names: Path | None,
        dataset: str | None,
        root: str | None,
        split: str,
        teachers: Sequence[str],
        converters: Sequence[str],
        classes: int | None,
        frames: int | None,
        batch: int | None,
        use_cached_features: bool,
        **others: Any,
    ) -> None:
        settings = _with_options(settings, teachers, batch)
        if dataset is None:
            if student is None or class_names is None:
                raise UserError("give --student, --class-names and --train NAME=FILE …, or --dataset by hand")
            places = {"train": train, "val": val, "test": test}
            given = given_files(settings, student, places, converter, class_names)
        else:
            if split != "train":
                raise UserError(f"--split {split}: heads are trained on train, chosen on val, tested on test")
            if train or val or test or converter:
                raise UserError(
                    "--dataset says where features are: leave --train, --val, --test, --converter out"
                )
            of = _Configured.read(dataset, root, student, settings)
            given = of.given(converters, class_names, seed, use_cached_features)
        check_counts(given, classes, frames)
        function(given=given, seed=seed, **others)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def _with_options(settings: FusionSettings, teachers: Sequence[str], batch: int | None) -> FusionSettings:
    """Settings that the seed's options changed; --lr without --sweep is the one rate, not one of several."""
    changes: dict[str, Any] = {}
    if teachers:
        changes["teachers"] = [part.strip() for text in teachers for part in text.split(",") if part.strip()]
    if batch is not None:
        changes["batch_size"] = batch
    if "lr" in settings.model_fields_set and "sweep" not in settings.model_fields_set:
        changes["sweep"] = {}
    # Still only what was given: the configuration has a say in the rest.
    return FusionSettings.model_validate(settings.model_dump(exclude_unset=True) | changes)


@dataclass(frozen=True)
class _Configured:
    """A configuration, and where its results are."""

    settings: FusionSettings
    cfg: Settings
    paths: Paths
    student: str

    @classmethod
    def read(
        cls, dataset: str, root: str | None, student: str | None, settings: FusionSettings
    ) -> _Configured:
        """The configuration of a data set; what is given of settings wins over its recipe."""
        cfg = load_settings(_file_of(dataset))
        student = student or cfg.converters.student
        if student is None:
            raise UserError(
                f"--dataset {dataset}: its configuration has no converters.student: give --student"
            )
        values = cfg.fusion.base.model_dump() | settings.model_dump(exclude_unset=True)
        if values["teachers"] is None:
            values["teachers"] = cfg.converters.teachers
        whole = FusionSettings.model_validate(values)
        known = list(cfg.backbones)
        for name in (student, *(whole.teachers or ())):
            if name not in known:
                raise UserError(f"{dataset} has no backbone {name!r}; {nearest(name, known)}")
        return cls(whole, cfg, Paths(root or cfg.results_dir), student)

    def given(self, converters: Sequence[str], classes: Path | None, seed: int, cached: bool) -> Given:
        """Open the features, from caches or from frames."""
        real = self.settings.features == "real"
        teachers = self.settings.teachers or ()
        weights = {} if real else self._weights(converters, teachers, seed)
        opened = self._caches if cached else self._live
        features: dict[str, Splits] = {}
        read: dict[str, list[Path]] = {split: [] for split in SPLITS}
        for name in (self.student, *(teachers if real else ())):
            features[name], files = opened(name)
            for split in SPLITS:
                read[split] += files[split]
        if cached and not self.settings.finetune_converters:
            for name, path in weights.items():
                if files := _converted(path):
                    features[name] = open_splits(files)
                    for split in SPLITS:
                        read[split] += files[split]
        classes = classes or Path(self.paths.classes)
        names = () if cached else (self.student, *(teachers if real else ()))
        return Given(
            self.settings, self.student, features, weights, classes,
            [*read["train"], *read["val"], *files_of(weights), classes], read["test"],
            [module_of(self.cfg.backbones[name].kind) for name in names],
        )  # fmt: skip

    def _caches(self, name: str) -> tuple[Splits, Mapping[str, list[Path]]]:
        pattern = self.paths.features
        folders = {s: Path(pattern.format(backbone=name, split=s, shard=0)).parent for s in SPLITS}
        shards = {split: find_feature_shards([folder]) for split, folder in folders.items()}
        return open_splits(shards), shards

    def _live(self, name: str) -> tuple[Splits, Mapping[str, list[Path]]]:
        folders = {split: Path(self.paths.frames.format(split=split, shard=0)).parent for split in SPLITS}
        shards = {split: find_shards([folder]) for split, folder in folders.items()}
        settings, batch = self._backbone(name), self.cfg.compute.batch
        return live_splits(shards, settings, name, batch), shards

    def _backbone(self, name: str) -> BackboneSettings:
        """The settings of a backbone; one that is trained here is a folder like any other."""
        used = self.cfg.backbones[name]
        if used.checkpoint is None:
            return used
        folder = self.paths.checkpoint_network.format(checkpoint=used.checkpoint)
        return used.model_copy(update={"checkpoint": None, "folder": folder})

    def _weights(self, given: Sequence[str], teachers: Sequence[str], seed: int) -> dict[str, Path]:
        """The converter of each teacher: a file of its own, or that of this seed below a prefix."""
        files = [Path(text) for text in given if Path(text).is_file()]
        found = {str(converter_config(file)["teacher"]): file for file in files}
        prefixes = [text for text in given if not Path(text).is_file()]
        default = self.paths.converters.weights
        for teacher in teachers:
            if teacher in found:
                continue
            places = [
                f"{prefix.rstrip('/')}.{teacher}/seed{seed}/model.safetensors" for prefix in prefixes
            ] or [default.format(converter=self.settings.converter, teacher=teacher, seed=seed)]
            if (there := next((Path(place) for place in places if Path(place).is_file()), None)) is None:
                raise UserError(
                    f"there is no converter to {teacher}: {places[0]} does not exist. Run train_converter, "
                    "or name its model.safetensors with --converters"
                )
            found[teacher] = there
        return found


def _file_of(dataset: str) -> Path:
    if dataset.endswith(".yaml"):
        return Path(dataset)
    known = {"demo": ROOT / "config/config.yaml"}
    known |= {file.stem: file for file in sorted((ROOT / "config/experiments").glob("*.yaml"))}
    if dataset not in known:
        raise UserError(
            f"--dataset {dataset}: there is no such configuration; {nearest(dataset, list(known))}"
        )
    return known[dataset]


def _converted(weights: Path) -> dict[str, list[Path]]:
    """What this converter made of the student's features, where that is cached of every split."""
    files = {split: weights.parent / "features" / split / "shard_0.h5" for split in SPLITS}
    there = all(file.is_file() for file in files.values())
    return {split: [file] for split, file in files.items()} if there else {}
