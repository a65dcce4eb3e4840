"""Experiments: a base recipe, and variants that each change a few of its settings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, ClassVar

from pydantic import ValidationError, create_model, field_validator, model_validator
from pydantic.fields import FieldInfo

from vidkd.config.base import Section
from vidkd.config.problems import Problem, Problems, nearest, problems

NAME = "[a-z0-9_]+"
"""What the name of a variant looks like, as a regular expression: a folder on any file system."""


class Experiment(Section):
    """Shared by the experiments of all methods, each of which has the fields `base` and `variants`."""

    RESERVED: ClassVar[dict[str, str]] = {}
    """Names that no variant may have, and why."""
    NAMING: ClassVar[tuple[str, ...]] = ()
    """Fields that name a variant, or none."""

    base: Any
    variants: Any

    @field_validator("variants", mode="after", check_fields=False)
    @classmethod
    def _changes(cls, variants: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
        """Check each changed setting by itself, so that these problems are listed beside those of base."""
        model = changes_of(cls.recipe())
        found: list[Problem] = []
        checked: dict[str, dict[str, object]] = {}
        for name, changes in variants.items():
            try:
                checked[name] = model.model_validate(changes).model_dump(mode="json", exclude_unset=True)
            except ValidationError as error:
                found += [((name, *where), text) for where, text in problems(model, error)]
        found += wrong_names(variants, cls.RESERVED)
        if found:
            raise Problems(found)
        return checked

    @model_validator(mode="after")
    def _every_variant(self) -> Experiment:
        found: list[Problem] = []
        for name in self.variants:
            try:
                self.variant(name)
            except ValidationError as error:
                found += [
                    (("variants", name, *where), text) for where, text in problems(self.recipe(), error)
                ]
        if found:
            raise Problems(found)
        return self

    @model_validator(mode="after")
    def _known_names(self) -> Experiment:
        known = list(self.variants)
        found: list[Problem] = [
            ((field,), f"no variant is named {name!r}; {nearest(name, known)}")
            for field in self.NAMING
            if (name := getattr(self, field)) is not None and name not in known
        ]
        if found:
            raise Problems(found)
        return self

    def variant(self, name: str) -> Any:
        """The complete settings of variant `name`, of the type of base."""
        return self.recipe().model_validate({**self.base.model_dump(), **self.variants[name]})

    @classmethod
    def recipe(cls) -> type[Section]:
        """The type of base."""
        recipe: type[Section] = cls.model_fields["base"].annotation  # type: ignore[assignment]
        return recipe


@cache
def changes_of(recipe: type[Section]) -> type[Section]:
    """What a variant may change: every setting of `recipe`, each checked by itself."""
    fields: dict[str, tuple[Any, FieldInfo]] = {
        name: (field.annotation, field) for name, field in recipe.model_fields.items()
    }
    changes: type[Section] = create_model(  # type: ignore[call-overload]
        f"{recipe.__name__.removesuffix('Settings')}Changes",
        __base__=Section,
        __doc__=f"What a variant may change of base: every setting of {recipe.__name__}, each by itself.",
        **fields,
    )
    return changes


def wrong_names(names: Iterable[str], reserved: dict[str, str]) -> list[Problem]:
    """Names that cannot be a folder of their own, or that mean something else in the tables."""
    found: list[Problem] = []
    for name in names:
        if not re.fullmatch(NAME, name):
            found.append(
                ((name,), "wrong name; allowed: lower-case letters, digits and _, for it names a folder")
            )
        elif name in reserved:
            found.append(((name,), f"wrong name: {reserved[name]}; choose another"))
    return found


def each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a name that stands in a setting twice."""
    if len(set(names)) < len(names):
        raise ValueError(f"found {list(names)}; allowed: each once")
    return names
