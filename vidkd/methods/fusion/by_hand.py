"""Training a fusion head by hand, with the options of seed 003, in video mode or from caches.

A configuration says where everything is. In video mode the student, and teachers where features are real, run
on the stored frames whenever a batch is asked for; caches of float32 give the same bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from vidkd.config.data import SPLITS
from vidkd.config.load import load_settings
from vidkd.config.options import with_options
from vidkd.config.problems import nearest
from vidkd.config.settings import CommonSettings
from vidkd.data.tables import read_classes
from vidkd.errors import UserError
from vidkd.methods.base import Plan
from vidkd.methods.converters.load import converter_config
from vidkd.methods.converters.pairs import LEARNT_FROM
from vidkd.methods.fusion.plan import Fusion
from vidkd.methods.fusion.settings import FusionSettings
from vidkd.methods.fusion.sources import open_features
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs, Store
from vidkd.provenance import ROOT

_COUNT = click.IntRange(min=1)
_OPTIONS = (
    click.option("--student", help="Name of the student; by hand that of the configuration is the default."),
    click.option("--teachers", multiple=True, metavar="A,B,...", help="Teachers that are inputs."),
    click.option(
        "--dataset", help="By hand: a configuration, by its name in config/experiments, as a .yaml file, or "
        "demo. It says where everything is.",
    ),
    click.option("--root", help="By hand: another results folder than the configuration's."),
    click.option("--split", default="train", help="By hand: the split to train on; it must be train."),
    click.option(
        "--converters", multiple=True, metavar="PREFIX", help="By hand: results/converters/NAME, for "
        "the converter of each teacher and this seed, or model.safetensors files.",
    ),
    click.option("--classes", "n_classes", type=_COUNT, help="Number of classes that is expected."),
    click.option("--frames", "n_frames", type=_COUNT, help="Frames of the student's clips, as expected."),
    click.option("--batch", type=_COUNT, help="Clips in a batch: --batch-size by the name of seed 003."),
    click.option(
        "--use-cached-features", is_flag=True, help="By hand: read caches; without it frames go through the "
        "network. What --feature-stores names is cached anyway.",
    ),
)  # fmt: skip


def seed_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options, which change `settings` and `needs`."""

    @functools.wraps(function)
    def wrapped(
        *,
        settings: FusionSettings,
        needs: Needs,
        seed: int,
        student: str | None,
        teachers: Sequence[str],
        dataset: str | None,
        root: str | None,
        split: str,
        converters: Sequence[str],
        n_classes: int | None,
        n_frames: int | None,
        batch: int | None,
        use_cached_features: bool,
        **others: Any,
    ) -> None:
        settings = _with_options(settings, teachers, batch)
        if dataset is not None:
            if split != "train":
                raise UserError(f"--split {split}: heads are trained on train, chosen on val, tested on test")
            if needs.features or needs.weights:
                raise UserError("--dataset says where features are: leave --feature-stores, --trained out")
            plan, settings, student = _configured(dataset, root, student, settings)
            needs = _needs(plan, settings, student, converters, seed, use_cached_features)
        elif not needs.features:
            raise UserError("give --student and --feature-stores NAME.SPLIT=FOLDER …, or --dataset by hand")
        elif student is not None:
            features = {student: needs.features.get(student, {}), **needs.features}
            needs = needs.model_copy(update={"features": features})
        _check_counts(needs, n_classes, n_frames)
        function(settings=settings, needs=needs, seed=seed, **others)

    return with_options(wrapped, _OPTIONS)


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


def _configured(
    dataset: str, root: str | None, student: str | None, settings: FusionSettings
) -> tuple[Plan, FusionSettings, str]:
    """The configuration of a data set, the whole settings, and the student; what is given wins."""
    configuration: CommonSettings = load_settings(_file_of(dataset))
    if root is not None:
        configuration = configuration.model_copy(update={"results_dir": root})
    converters, fusion = (configuration.methods[name] for name in ("converters", "fusion"))
    student = student or converters.student
    if student is None:
        raise UserError(f"--dataset {dataset}: its configuration has no converters.student: give --student")
    values = fusion.base.model_dump() | settings.model_dump(exclude_unset=True)
    if values["teachers"] is None:
        values["teachers"] = converters.teachers
    whole, known = FusionSettings.model_validate(values), list(configuration.backbones)
    for name in (student, *(whole.teachers or ())):
        if name not in known:
            raise UserError(f"{dataset} has no backbone {name!r}; {nearest(name, known)}")
    return Plan(configuration), whole, student


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


def _needs(
    plan: Plan, settings: FusionSettings, student: str, given: Sequence[str], seed: int, cached: bool
) -> Needs:
    """What the configuration has for a head: caches, or networks and frames; and converters."""
    real = settings.features == "real"
    names = (student, *((settings.teachers or ()) if real else ()))
    weights = {} if real else _converters(plan, settings, given, seed)
    if not cached:
        return Needs(
            frames=plan.frames(*LEARNT_FROM), features={name: {} for name in names}, classes=plan.classes,
            networks={name: plan.network(name) for name in names}, weights=weights,
        )  # fmt: skip
    features = {name: plan.features(name, *LEARNT_FROM) for name in names}
    if not settings.finetune_converters:
        features |= {name: stores for name, (file,) in weights.items() if (stores := _converted(file))}
    return Needs(features=features, classes=plan.classes, weights=weights)


def _converters(
    plan: Plan, settings: FusionSettings, given: Sequence[str], seed: int
) -> dict[str, tuple[str, ...]]:
    """The converter of each teacher: a file of its own, or that of this seed below a prefix."""
    files = [text for text in given if Path(text).is_file()]
    found: dict[str, tuple[str, ...]] = {
        str(converter_config(Path(file))["teacher"]): (file,) for file in files
    }
    prefixes = [text.rstrip("/") for text in given if text not in files]
    for teacher, default in Fusion(plan).converters(settings, seed).items():
        if teacher in found:
            continue
        places = [f"{prefix}.{teacher}/seed{seed}/model.safetensors" for prefix in prefixes] or default
        if (there := next((place for place in places if Path(place).is_file()), None)) is None:
            raise UserError(
                f"there is no converter to {teacher}: {places[0]} does not exist. Train it, or name its "
                "model.safetensors with --converters"
            )
        found[teacher] = (there,)
    return found


def _converted(weights: str) -> dict[str, Store]:
    """What this converter made of the student's features, where that is cached of every split."""
    files = {split: Path(weights).parent / "features" / split / "shard_0.h5" for split in SPLITS}
    there = all(file.is_file() for file in files.values())
    return {split: str(files[split]) for split in LEARNT_FROM} if there else {}


def _check_counts(needs: Needs, classes: int | None, frames: int | None) -> None:
    """Refuse a number of classes, or of frames of the student's clips, that is not that of the data."""
    inputs = Inputs(needs)
    if classes is not None and classes != (count := len(read_classes(inputs.classes))):
        raise UserError(
            f"--classes {classes}: {inputs.classes} has {count}: leave the option out, or correct it"
        )
    if frames is None:
        return
    student, *_ = needs.features
    found = open_features(student, inputs, "train")["train"].meta.frames
    if frames != found:
        raise UserError(
            f"--frames {frames}: the features of {student} are of clips of {found} frames: leave the "
            "option out, or set backbones.frames in the configuration and cache features again"
        )
