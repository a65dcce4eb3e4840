"""Command lines made of settings: each setting is an option, with its default and its meaning."""

from __future__ import annotations

import functools
import json
import pathlib
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin

import click
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_json

from vidkd.config.describe import Path, allowed, leaves, without_null
from vidkd.config.problems import Problem, problems, sentence
from vidkd.errors import UserError

PATH = click.Path(path_type=pathlib.Path)
"""Type of an option that is a file or a folder; the function gets a `pathlib.Path`."""

INPUT = click.Path(exists=True, dir_okay=False, path_type=pathlib.Path)
"""Type of an option that is a file to read; click refuses one that is not there."""

Function = TypeVar("Function", bound=Callable[..., Any])


class _Command(click.Command):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise _Failure(str(error)) from error
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
            raise _Failure("\n".join([f"wrong {error.title}:", *lines])) from error


def command(function: Callable[..., Any]) -> click.Command:
    """Make a command of `function`; a `UserError` becomes `Error: <message>` and exit status 2."""
    settings = {"show_default": True, "help_option_names": ["-h", "--help"], "max_content_width": 110}
    return click.command(cls=_Command, context_settings=settings)(function)


def with_options(function: Callable[..., Any], options: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """Add options to `function`; its help lists them in their order."""
    for option in reversed(options):
        function = option(function)
    return function


def settings_options(
    model: type[BaseModel], exclude: Collection[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add `--settings JSON` and one option for each setting of `model`; the function gets `settings=`.

    An option wins over `--settings`, which wins over the default. Write it above the function's own options.

    Args:
        model: the section.
        exclude: dotted settings without an option, because the command has one of that name;
            `--settings` still sets them.

    Raises:
        ValueError: the function already has an option of the same name.
    """
    fields = {path: field for path, field in leaves(model) if ".".join(path) not in exclude}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        own = {name for parameter in getattr(function, "__click_params__", []) for name in parameter.opts}
        if clash := own & {_flag(path) for path in fields}:
            raise ValueError(
                f"{', '.join(sorted(clash))} is an option of the command too: exclude the setting"
            )

        @functools.wraps(function)
        def wrapped(settings: str, **arguments: Any) -> Any:
            given = {path: arguments.pop(_parameter(path)) for path in fields}
            changes = {path: value for path, value in given.items() if value not in (None, ())}
            return function(settings=_resolve(model, settings, changes, fields), **arguments)

        base = click.option("--settings", default="{}", metavar="JSON", help="Settings as a JSON object.")
        return with_options(wrapped, [base, *(_option(path, field) for path, field in fields.items())])

    return decorate


def checked(model: Any, text: str, option: str) -> Any:
    """A section given as JSON.

    Raises:
        UserError: it is no JSON object, or a setting is wrong.
    """
    try:
        return model.model_validate(_json(text, option))
    except ValidationError as error:
        lines = [f"{option}: {sentence(problem)}" for problem in problems(model, error)]
        raise UserError("\n".join(lines)) from None


def _option(path: Path, field: FieldInfo) -> Callable[[Function], Function]:
    annotation, nullable = without_null(field.annotation)
    default = to_json(field.get_default(call_default_factory=True)).decode().strip('"')
    extra: dict[str, Any] = {"type": str, "metavar": "VALUE"}
    flag = _flag(path)
    if annotation is bool:
        extra, flag = {}, f"{flag}/--no-{flag[2:]}"
    elif get_origin(annotation) is Literal:
        choices = [str(choice) for choice in get_args(annotation)]
        extra = {"type": click.Choice([*choices, "none"] if nullable else choices)}
    elif get_origin(annotation) is tuple:
        extra = {"type": str, "metavar": "A,B,...", "multiple": True}
    elif get_origin(annotation) is dict:
        extra = {"type": str, "metavar": "JSON"}
    right = f"{allowed(field)}; " if extra.get("type") is str else ""  # click itself shows flags and choices
    words = f"{field.description or ''} [{right}default: {default}]".strip()
    return click.option(flag, _parameter(path), default=None, show_default=False, help=words, **extra)


def _resolve(
    model: type[BaseModel], settings: str, changes: dict[Path, Any], fields: dict[Path, FieldInfo]
) -> BaseModel:
    values = _json(settings, "--settings")
    for path, value in changes.items():
        section = values
        for step in path[:-1]:
            section = section.setdefault(step, {})
            if not isinstance(section, dict):
                raise UserError(f"--settings: {step}: found {section}; allowed: a mapping of settings")
        section[path[-1]] = _value(path, fields[path], value)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [_line(problem, changes) for problem in problems(model, error)]
        raise UserError("\n".join(lines)) from None


def _line(problem: Problem, changes: Collection[Path]) -> str:
    """A problem with the name of the option that it came from."""
    where, text = problem
    path = next((path for path in changes if where[: len(path)] == path), None)
    if path is None:
        return f"settings: {sentence(problem)}"
    inside = tuple(step for step in where[len(path) :] if isinstance(step, str))
    return f"{_flag(path)}: {sentence((inside, text))}"


def _value(path: Path, field: FieldInfo, given: Any) -> Any:
    """The value an option stands for, for the model to validate."""
    annotation, _ = without_null(field.annotation)
    if get_origin(annotation) is tuple:
        return [part.strip() for text in given for part in text.split(",") if part.strip()]
    if get_origin(annotation) is dict:
        return _json(given, _flag(path))
    return given


def _json(text: str, option: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UserError(f"{option}: not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise UserError(f"{option}: found {text}; allowed: a JSON object such as {{}}")
    return value


def _flag(path: Path) -> str:
    return "--" + "-".join(path).replace("_", "-")


def _parameter(path: Path) -> str:
    return "settings_" + "_".join(path)


class _Failure(click.ClickException):
    exit_code = 2
