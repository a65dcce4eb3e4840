"""What every settings section has in common."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from vidkd.config.describe import without_null


class Section(BaseModel):
    """A frozen group of settings: an unknown key or a changed value after loading is an error."""

    # Defaults are validated so that a default of 0 and a loaded 0.0 are the same text in a digest.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        """Read the text `null` as null; refuse true and false where pydantic would take them for 1 and 0.

        Snakemake's `--config` gives every nested value as text; YAML makes booleans of words such as `no`.
        """
        annotation, nullable = without_null(cls.model_fields[str(info.field_name)].annotation)
        if nullable and value in ("null", "none", "None"):
            return None
        items = value if isinstance(value, list | tuple) else [value]
        if annotation is not bool and any(isinstance(item, bool) for item in items):
            raise PydanticCustomError("bool_found", "true or false is not allowed here")
        return value


def canonical(model: BaseModel) -> str:
    """`model` as compact JSON with sorted keys: one text for equal settings, in whatever order."""
    return json.dumps(model.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
