"""What every settings section has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen group of settings: an unknown key or a changed value after loading is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
