"""Training a fusion head by hand, with the options of seed 003, in video mode or from caches.

A configuration says where everything is (`vidkd.methods.fusion.configured`). In video mode the student, and
teachers where features are real, run on the stored frames whenever a batch is asked for; caches of float32
give the same bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from vidkd import lazy
from vidkd.config.options import INPUT
from vidkd.errors import UserError
from vidkd.methods.fusion.given import check_counts, given_files
from vidkd.methods.fusion.settings import FusionSettings

CONFIGURED = "vidkd.methods.fusion.configured:Configured"
"""Not imported here: it knows all settings, whose changes train no head of a workflow anew."""

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
            of = lazy.load(CONFIGURED).read(dataset, root, student, settings)
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
