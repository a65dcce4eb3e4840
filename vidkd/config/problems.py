"""Wrong settings in words: one line a problem, with where it is, what was found and what is allowed."""

from __future__ import annotations

import difflib
import json
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from vidkd.config.describe import allowed, entry_section, is_section, item_type, kind, leaves

Location = tuple[int | str, ...]
Problem = tuple[Location, str]

_LONGEST = 60
_RENAMED = {"gamma": "step_factor", "tensorboard": "trackers"}
"""What settings of older configurations are called now."""
_BOOLEANS = " (YAML reads yes, no, on and off as true and false: write such a word in quotes)"


class Problems(ValueError):
    """Raised by a validator of a section that found several problems; locations start at that section."""

    def __init__(self, found: list[Problem]) -> None:
        super().__init__("; ".join(sentence(problem) for problem in found))
        self.found = found


def problems(model: type[BaseModel], error: ValidationError) -> list[Problem]:
    """Every problem of `error`, which came from validating `model`, in the order of the settings."""
    found: list[Problem] = []
    for detail in error.errors(include_url=False):
        reason = detail.get("ctx", {}).get("error")
        if isinstance(reason, Problems):
            found += [((*detail["loc"], *below), text) for below, text in reason.found]
        elif not (detail["type"] == "too_short" and detail["input"]):  # its wrong items are problems already
            found.append(_problem(model, detail))
    return list(dict.fromkeys(found))


def sentence(problem: Problem) -> str:
    """One line: `ffn.base.lr: found -1; allowed: number, above 0`."""
    where, text = problem
    return f"{dotted(where)}: {text}" if where else text


def dotted(where: Location) -> str:
    """A location as people write it: `ffn.base.lr`."""
    return ".".join(str(step) for step in where if step != "[key]")


def nearest(name: object, known: list[str]) -> str:
    """Words that point from a wrong name to the right one."""
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(known) or 'none'}"


def _problem(model: type[BaseModel], detail: ErrorDetails) -> Problem:
    where, reason = detail["loc"], detail.get("ctx", {}).get("error")
    if isinstance(reason, Exception):
        return where, str(reason)
    if detail["type"] == "extra_forbidden":
        return where, _unknown(model, where)
    if detail["type"] == "invalid_key":
        return where, "the name is not text: write it in quotes"
    if where[-1:] == ("[key]",):
        right = "text; write it in quotes" if "str" in detail["type"] else "whole number"
        return where, f"the name is {_shown(detail['input'])}; allowed: {right}"
    if detail["type"] == "missing":  # an item of a list that is too short: the list is what is wrong
        where = where[:-1]
    return where, _wrong(model, where, detail["input"], detail["msg"])


def _unknown(model: type[BaseModel], where: Location) -> str:
    section, _ = _follow(model, where[:-1])
    siblings = list(section.model_fields) if isinstance(section, type) else []
    if (renamed := _RENAMED.get(str(where[-1]))) in siblings:
        return f"no such setting; did you mean {renamed}?"
    elsewhere = [dotted(path) for path, _ in leaves(model) if path[-1] == where[-1]]
    if elsewhere and not difflib.get_close_matches(str(where[-1]), siblings, n=1):
        return f"no such setting; did you mean {' or '.join(elsewhere)}?"
    return f"no such setting; {nearest(where[-1], siblings)}"


def _wrong(model: type[BaseModel], where: Location, found: Any, message: str) -> str:
    place, inside = _follow(model, where)
    if place is None:
        return f"found {_shown(found)}: {message}"
    if isinstance(place, type):
        return f"found {_shown(found)}; allowed: a mapping of settings; {{}} has every default"
    right = kind(item_type(place.annotation, len(inside))) if inside else allowed(place)
    return f"found {_shown(found)}; allowed: {right}{_BOOLEANS if isinstance(found, bool) else ''}"


def _follow(model: type[BaseModel], where: Location) -> tuple[type[BaseModel] | FieldInfo | None, Location]:
    """The section or setting that a location leads to, and the steps that go on inside its value."""
    rest = list(where)
    while rest:
        field = model.model_fields.get(str(rest.pop(0)))
        if field is not None and rest and (entry := entry_section(field.annotation)):
            rest.pop(0)
            model = entry
        elif field is not None and is_section(field.annotation):
            model = field.annotation  # type: ignore[assignment]
        else:
            return field, tuple(rest)
    return model, ()


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def too_many_frames(asked: int, kept: int) -> str:
    """The sentence for more frames than are stored of a video."""
    return f"{asked} frames are asked of videos stored with {kept}: raise frames.per_video or lower it"
