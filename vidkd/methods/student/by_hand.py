"""The options of a student's training that are no settings: where its videos and its teacher are."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter

from vidkd.config.backbones import BackboneSettings
from vidkd.config.options import INPUT, PATH
from vidkd.data.frames import find_shards
from vidkd.errors import UserError
from vidkd.features.store import find_feature_shards
from vidkd.methods.labelled import Videos
from vidkd.methods.student.train import Teaching

_NETWORK = TypeAdapter(BackboneSettings | None)
_FRAMES = "results/frames"
_OPTIONS = (
    click.option(
        "--train", type=PATH, multiple=True, default=[f"{_FRAMES}/train"], help="Frame stores to train on."
    ),
    click.option(
        "--val", type=PATH, multiple=True, default=[f"{_FRAMES}/val"], help="They choose the epoch."
    ),
    click.option("--classes", type=INPUT, required=True, help="Class names of the label, JSON."),
    click.option("--labels", type=INPUT, required=True, help="Label of each video: CSV of list_labels."),
    click.option("--marked-only/--not-marked-only", help="Training labels that are not marked are not used."),
    click.option(
        "--start", default="null", metavar="JSON", help="Settings of the timm network to start from."
    ),
    click.option("--teacher-head", type=INPUT, help="model.safetensors of fit_teacher_head."),
    click.option("--teacher", default="null", metavar="JSON", help="Settings of the teacher's network."),
    click.option(
        "--teacher-train", type=PATH, multiple=True, help="Its cached features, for teacher_view cached."
    ),
    click.option(
        "--teacher-val", type=PATH, multiple=True, help="Its cached features of the validation videos."
    ),
)


def place_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options; `function` gets `videos`, `start` and `teaching` in their place."""

    @functools.wraps(function)
    def wrapped(
        *,
        train: Sequence[Path],
        val: Sequence[Path],
        classes: Path,
        labels: Path,
        marked_only: bool,
        start: str,
        teacher_head: Path | None,
        teacher: str,
        teacher_train: Sequence[Path],
        teacher_val: Sequence[Path],
        **others: Any,
    ) -> None:
        videos = Videos(find_shards(train), find_shards(val), classes, labels, marked_only)
        teaching = None
        if teacher_head is not None:
            network = _NETWORK.validate_json(teacher)
            if network is None or not teacher_val:
                raise UserError(
                    "--teacher-head needs --teacher, the network that it is a head of, and --teacher-val"
                )
            shards = find_feature_shards(list(teacher_train)) if teacher_train else []
            teaching = Teaching(teacher_head, network, shards, find_feature_shards(list(teacher_val)))
        function(videos=videos, start=_NETWORK.validate_json(start), teaching=teaching, **others)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
