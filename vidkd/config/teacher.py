"""Settings of a linear classifier on features, and of a frozen network that teaches by such a head."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from vidkd.config.base import Section

Head = Literal["zero_shot", "probe", "average"]
"""How logits are made from the features of a teacher."""


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


class GateSettings(LinearSettings):
    """A linear head on cached features of a frozen network, and the gate that the network has to pass."""

    margin: float = Field(
        10.0,
        ge=0,
        le=100,
        description="The gate: points of validation top-1 above the largest class, under which a teacher or "
        "an assistant is refused.",
    )


class TeacherSettings(GateSettings):
    """The head that is made for a frozen network; all but the linear one need the text tower of a CLIP."""

    head: Head = Field(
        "average",
        description="zero_shot: similarity to the prompts of each class. probe: a linear classifier fitted "
        "on cached training features. average: the mean of both's probabilities. All three are measured of "
        "a CLIP.",
    )
    templates: tuple[str, ...] = Field(
        ("a photo of a {}.", "a video of a {}.", "a photo of {}.", "{}"),
        min_length=1,
        description="Prompts of zero_shot; {} stands for the words of the class.",
    )
    class_names: dict[str, str] = Field(
        {},
        description="Words of each class in the prompts, of all classes or none: labels are taken apart into "
        "words otherwise (ApplyEyeMakeup: apply eye makeup).",
    )

    @field_validator("templates")
    @classmethod
    def _one_place(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [text for text in templates if text.count("{}") != 1 or text.replace("{}", "").count("{")]
        if wrong:
            raise ValueError(f"found {wrong[0]!r}; allowed: text with {{}} once, where the class stands")
        return templates
