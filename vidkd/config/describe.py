"""Settings in words: which there are and what each may be; for errors, command lines and documents."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Path = tuple[str, ...]

_NAMES = {int: ("whole number", "whole numbers"), float: ("number", "numbers"), str: ("text", "texts")}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "multiple_of": "a multiple of"}


def is_section(annotation: Any) -> bool:
    """Whether a field of this type is a group of settings instead of a value."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def entry_section(annotation: Any) -> type[BaseModel] | None:
    """The section that each entry of a mapping by name is; None where the field is no such mapping."""
    if get_origin(annotation) is dict and is_section(entry := get_args(annotation)[1]):
        section: type[BaseModel] = entry
        return section
    return None


def leaves(model: type[BaseModel], above: Path = ()) -> Iterator[tuple[Path, FieldInfo]]:
    """Every setting below `model` that is a value, with its path, in the order of definition."""
    for name, field in model.model_fields.items():
        if is_section(field.annotation):
            yield from leaves(field.annotation, (*above, name))  # type: ignore[arg-type]
        else:
            yield (*above, name), field


def without_null(annotation: Any) -> tuple[Any, bool]:
    """The type with `None` taken off, and whether `None` was there."""
    if get_origin(annotation) in (Union, UnionType):
        others = [part for part in get_args(annotation) if part is not NoneType]
        return (others[0] if len(others) == 1 else annotation), len(others) < len(get_args(annotation))
    return annotation, False


def allowed(field: FieldInfo) -> str:
    """What the value of `field` may be, such as `whole number, at least 1, or null`."""
    annotation, nullable = without_null(field.annotation)
    bounds = [
        f"{words} {bound:g}"
        for constraint in field.metadata
        for name, words in _BOUNDS.items()
        if (bound := getattr(constraint, name, None)) is not None
    ]
    if any(getattr(constraint, "min_length", None) for constraint in field.metadata):
        bounds.append("not empty")
    return ", ".join([kind(annotation), *bounds, *(["or null"] if nullable else [])])


def item_type(annotation: Any, depth: int) -> Any:
    """The type of what lies `depth` steps inside a value: of a list's items, or of a mapping's values."""
    for _ in range(depth):
        annotation, _nullable = without_null(annotation)
        origin, arguments = get_origin(annotation), get_args(annotation)
        annotation = arguments[1] if origin is dict else arguments[0] if origin is tuple else object
    return annotation


def kind(annotation: Any) -> str:
    """What a value of this type is called."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if annotation is bool:
        return "true or false"
    if origin is tuple:
        amount = "" if arguments[-1] is Ellipsis else f"{len(arguments)} "
        return f"list of {amount}{_plural(arguments[0])}"
    if origin is dict:
        return (
            "mapping of settings"
            if arguments[1] is object
            else f"mapping of {_NAMES[arguments[0]][0]} to {kind(arguments[1])}"
        )
    if is_section(annotation):
        return "settings"
    return _NAMES[annotation][0] if annotation in _NAMES else "any value"


def _plural(annotation: Any) -> str:
    return _NAMES[annotation][1] if annotation in _NAMES else "values"
