"""The command lines of all methods: a command for each, with its settings and what it reads as options."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from vidkd.config.data import SPLITS
from vidkd.config.options import PATH, checked, with_options
from vidkd.errors import UserError
from vidkd.methods.base import Method
from vidkd.methods.needs import Needs, Network, Store
from vidkd.registry import METHODS, find_method

FRAMES, CLASSES = "results/frames", "results/data/classes.json"
"""Where a run by hand looks unless told."""

_OPTIONS = (
    click.option("--needs", "given", metavar="JSON", help="All that is read, as the workflow gives it."),
    click.option(
        "--frame-stores", "frames", multiple=True, metavar="SPLIT=PLACE",
        help=f"Frame stores of a split: files, or a folder of them. [default: {FRAMES}/SPLIT]",
    ),
    click.option(
        "--feature-stores", "features", multiple=True, metavar="NETWORK.SPLIT=PLACE",
        help="Feature stores of a network.",
    ),
    click.option(
        "--class-names", "classes", type=PATH, help=f"Names of the classes, JSON. [default: {CLASSES}]"
    ),
    click.option("--label-list", "labels", type=PATH, help="Label of each video: CSV of list_labels."),
    click.option("--marked-only/--not-marked-only", help="Training labels that are not marked are not used."),
    click.option("--network", multiple=True, metavar="ROLE=JSON", help="Settings of a frozen network."),
    click.option("--network-head", "head", multiple=True, metavar="ROLE=FILE", help="Weights of its head."),
    click.option("--trained", "weights", multiple=True, metavar="NAME=FILE", help="Weights of another run."),
    click.option("--file", "result", multiple=True, metavar="NAME=FILE", help="Another file that is read."),
)  # fmt: skip


def needs_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; `function` gets `needs` in their place."""

    @functools.wraps(function)
    def wrapped(
        *,
        given: str | None,
        frames: Sequence[str],
        features: Sequence[str],
        classes: Path | None,
        labels: Path | None,
        marked_only: bool,
        network: Sequence[str],
        head: Sequence[str],
        weights: Sequence[str],
        result: Sequence[str],
        **others: Any,
    ) -> Any:
        if given is not None:
            return function(needs=Needs.model_validate_json(given), **others)
        stores = _by_name(frames, "--frame-stores")
        if not stores and not features:
            places = {split: f"{FRAMES}/{split}" for split in SPLITS}
            stores = {split: [place] for split, place in places.items() if Path(place).is_dir()}
        if classes is None and Path(CLASSES).is_file():
            classes = Path(CLASSES)
        needs = Needs(
            frames={split: tuple(places) for split, places in stores.items()},
            features=_features(features),
            classes=None if classes is None else str(classes),
            labels=None if labels is None else str(labels),
            marked_only=marked_only,
            networks=_networks(network, head),
            weights={name: tuple(files) for name, files in _by_name(weights, "--trained").items()},
            results={name: tuple(files) for name, files in _by_name(result, "--file").items()},
        )
        return function(needs=needs, **others)

    return with_options(wrapped, _OPTIONS)


def nothing_more(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add nothing: for methods without further options by hand."""
    return function


class _MethodGroup(click.Group):
    """A command for each method, made when it is asked for."""

    def __init__(self, make: Callable[[type[Method]], click.Command], step: str, **more: Any) -> None:
        super().__init__(**more)
        self.make, self.step = make, step

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the methods that have the step."""
        return methods_with(self.step)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Make the command of a method."""
        if cmd_name not in methods_with(self.step):
            return None
        command = self.make(find_method(cmd_name))
        command.name = cmd_name
        return command


def method_group(make: Callable[[type[Method]], click.Command], step: str) -> click.Group:
    """Make a group of a command for each method that has a step (`TRAIN`), with the help of `make`."""
    return _MethodGroup(
        make, step, help=make.__doc__, context_settings={"help_option_names": ["-h", "--help"]}
    )


def named_places(given: Iterable[str], option: str) -> dict[str, list[Path]]:
    """Read files or folders by name, in the order in which they were given.

    Args:
        given: texts NAME=FILE; a name may come several times.
        option: for the message.

    Raises:
        UserError: a text has no name, or no file.
    """
    found: dict[str, list[Path]] = {}
    for text in given:
        name, equals, place = text.partition("=")
        if not (name and equals and place):
            raise UserError(f"{option}: found {text!r}; allowed: NAME=FILE")
        found.setdefault(name, []).append(Path(place))
    return found


def named_files(given: Iterable[str], option: str) -> dict[str, Path]:
    """Read one file by name.

    Raises:
        UserError: a text has no name or no file, a name comes twice, or there is no such file.
    """
    places = named_places(given, option)
    if twice := [name for name, files in places.items() if len(files) > 1]:
        raise UserError(f"{option}: {twice[0]} is given twice: one file each")
    if missing := [files[0] for files in places.values() if not files[0].is_file()]:
        raise UserError(f"{option}: there is no file {missing[0]}")
    return {name: files[0] for name, files in places.items()}


def named_words(given: Iterable[str], option: str) -> dict[str, str]:
    """Read one word by name.

    Raises:
        UserError: a text has no name or no word.
    """
    return {name: str(places[0]) for name, places in named_places(given, option).items()}


def method_argument(step: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the argument METHOD: one of those that have a step (`EXPORT`)."""
    return click.argument("method", type=click.Choice(methods_with(step)))


def methods_with(step: str) -> list[str]:
    """List the methods that have a step: `TRAIN`, `PREDICT`, `EXPORT`."""
    return [name for name in METHODS if getattr(find_method(name), step)]


def _by_name(given: Sequence[str], option: str) -> dict[str, list[str]]:
    return {name: [str(place) for place in places] for name, places in named_places(given, option).items()}


def _one(places: Sequence[str], option: str) -> str:
    if len(places) > 1:
        raise UserError(f"{option} is given {len(places)} times: once, please")
    return places[0]


def _features(given: Sequence[str]) -> dict[str, dict[str, Store]]:
    found: dict[str, dict[str, Store]] = {}
    for name, places in _by_name(given, "--feature-stores").items():
        network, dot, split = name.rpartition(".")
        if not dot:
            raise UserError(f"--feature-stores {name}: found no split; allowed: NETWORK.SPLIT=PLACE")
        found.setdefault(network, {})[split] = tuple(places)
    return found


def _networks(given: Sequence[str], heads: Sequence[str]) -> dict[str, Network]:
    """Frozen networks by role.

    Raises:
        UserError: a head has no network, or settings are wrong.
    """
    weights = _by_name(heads, "--network-head")
    found: dict[str, Network] = {}
    for text in given:
        role, equals, settings = text.partition("=")
        if not (role and equals):
            raise UserError(f"--network: found {text!r}; allowed: ROLE=JSON")
        backbone = checked(Network.model_fields["settings"].annotation, settings, f"--network {role}")
        head = _one(weights.pop(role), f"--network-head {role}") if role in weights else None
        found[role] = Network(settings=backbone, head=head)
    if weights:
        role = next(iter(weights))
        raise UserError(f"--network-head {role} needs --network {role}, the network that it is a head of")
    return found
