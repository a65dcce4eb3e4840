"""The options of a training that are no settings: where its videos, its teacher and its assistant are."""

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
from vidkd.methods.labelled import Videos
from vidkd.methods.trimodel.settings import ASSISTANT, TEACHER
from vidkd.methods.trimodel.train import Network

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
        "--start", default="null", metavar="JSON", help="Settings of the videomae network to start from."
    ),
    click.option("--teacher", default="null", metavar="JSON", help="Settings of the teacher's network."),
    click.option("--teacher-head", type=INPUT, help="model.safetensors of fit_trimodel_head."),
    click.option("--assistant", default="null", metavar="JSON", help="Settings of the assistant's network."),
    click.option("--assistant-head", type=INPUT, help="model.safetensors of fit_trimodel_head."),
)


def place_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options; `function` gets `videos`, `start` and `networks` in their place."""

    @functools.wraps(function)
    def wrapped(
        *,
        train: Sequence[Path],
        val: Sequence[Path],
        classes: Path,
        labels: Path,
        marked_only: bool,
        start: str,
        teacher: str,
        teacher_head: Path | None,
        assistant: str,
        assistant_head: Path | None,
        **others: Any,
    ) -> None:
        videos = Videos(find_shards(train), find_shards(val), classes, labels, marked_only)
        given = {TEACHER: (teacher, teacher_head), ASSISTANT: (assistant, assistant_head)}
        networks = {
            name: network for name, parts in given.items() if (network := _network(name, *parts)) is not None
        }
        function(videos=videos, start=_NETWORK.validate_json(start), networks=networks, **others)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def _network(name: str, settings: str, head: Path | None) -> Network | None:
    """The teacher or the assistant, if both parts of it are given."""
    backbone = _NETWORK.validate_json(settings)
    if backbone is None and head is None:
        return None
    if backbone is None or head is None:
        raise UserError(f"--{name} and --{name}-head belong together: give both")
    return Network(head, backbone)
