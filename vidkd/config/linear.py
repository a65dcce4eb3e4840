"""Settings of a linear classifier on features, of probes and of the heads of teachers."""

from __future__ import annotations

from pydantic import Field, field_validator

from vidkd.config.base import Section


class LinearSettings(Section):
    """Multinomial logistic regression on the mean of a video's tokens; it has no randomness, so one seed."""

    l2: tuple[float, ...] = Field(
        (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
        min_length=1,
        description="Strengths of the L2 penalty that are tried: half of the strength times the squared "
        "weights is added to the mean loss. Validation chooses.",
    )
    max_iter: int = Field(2000, ge=1, description="Most iterations of L-BFGS at each strength.")
    cpu_threads: int = Field(
        1, ge=1, description="Threads of a fit. A setting, because sums depend on it in the last bit."
    )

    @field_validator("l2")
    @classmethod
    def _strengths(cls, strengths: tuple[float, ...]) -> tuple[float, ...]:
        if list(strengths) != sorted(set(strengths)) or strengths[0] <= 0:
            raise ValueError(f"found {list(strengths)}; allowed: ascending numbers above 0")
        return strengths
