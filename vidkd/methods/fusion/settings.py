"""Settings of the fusion head: a classifier over the student's features and its converted ones."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from vidkd.config.problems import Problem, Problems, nearest, problems
from vidkd.config.training import FeatureTrainingSettings
from vidkd.config.variants import Experiment, changes_of
from vidkd.methods.base import MethodSettings

if TYPE_CHECKING:
    from vidkd.config.settings import CommonSettings


class FusionSettings(FeatureTrainingSettings):
    """One fusion head: what goes in, how it is joined and classified, and how it is trained."""

    lr: float = Field(1e-3, gt=0, description="Peak learning rate, where `sweep` has none.")
    student: bool = Field(True, description="The student's own features are an input.")
    teachers: tuple[str, ...] | None = Field(
        None, description="Teachers whose features are inputs; null: all of converters.teachers."
    )
    features: Literal["converted", "real"] = Field(
        "converted",
        description="Where a teacher's features come from: converted from the student's, or from the "
        "teacher itself: what converters could reach at best.",
    )
    converter: str = Field("resampler", description="The variant of `converters` that converts.")
    finetune_converters: bool = Field(
        False, description="Converters are trained on with the head; otherwise frozen, and computed once."
    )
    fusion: Literal["gated", "concat"] = Field(
        "gated",
        description="gated: each teacher's features are added to the first input's by a learnt gate. "
        "concat: all side by side, then an MLP.",
    )
    pooling: Literal["attention", "mean"] = Field(
        "attention", description="How tokens become one vector: a learnt query attends, or their mean."
    )
    width: int = Field(128, ge=8, description="Width that every input is projected to.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout before the classifier.")
    gate_sparsity: float = Field(1e-3, ge=0, description="Weight of the mean gate in the loss of gated.")
    allow_missing: bool = Field(
        False,
        description="Leave out videos that one of the caches lacks, and say which; otherwise they are "
        "refused.",
    )
    sweep: dict[str, tuple[Any, ...]] = Field(
        {"lr": (1e-3, 3e-4, 1e-4)},
        description="Values that are tried of settings above, all combinations; validation chooses one for "
        "each seed. Not of what goes in (student, teachers, features, converter), which the table compares.",
    )

    @field_validator("sweep")
    @classmethod
    def _values(cls, sweep: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        found: list[Problem] = []
        allowed = [name for name in cls.model_fields if name not in _UNSWEPT]
        for name, values in sweep.items():
            if name not in allowed:
                found.append(((name,), f"cannot be swept; {nearest(name, allowed)}"))
            elif not values or len({repr(value) for value in values}) < len(values):
                found.append(((name,), f"found {list(values)}; allowed: one value or more, each once"))
        if found:
            raise Problems(found)
        return {name: tuple(cls._checked(name, value) for value in values) for name, values in sweep.items()}

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        """A swept value as the setting itself would have it."""
        changes = changes_of(cls)
        try:
            return changes.model_validate({name: value}).model_dump(mode="json")[name]
        except ValidationError as error:
            raise Problems([(where, text) for where, text in problems(changes, error)]) from None

    @model_validator(mode="after")
    def _has_input(self) -> FusionSettings:
        found: list[Problem] = []
        if not self.student and self.teachers == ():
            found.append((("teachers",), "found [] and student: false; allowed: one input or more"))
        if self.finetune_converters and self.features == "real":
            text = "there is no converter to train on where features are real: leave it out"
            found.append((("finetune_converters",), text))
        if found:
            raise Problems(found)
        return self

    def trials(self) -> list[FusionSettings]:
        """List the settings of each combination of `sweep`, in its order; without a sweep these."""
        values = self.model_dump() | {"sweep": {}}
        return [
            FusionSettings.model_validate(values | dict(zip(self.sweep, combination, strict=True)))
            for combination in product(*self.sweep.values())
        ]


_UNSWEPT = (
    *("sweep", "student", "teachers", "features", "converter", "finetune_converters", "allow_missing"),
    *("precision", "cpu_threads"),
)
"""What a variant is, which is compared in the table and not validation's to choose, and what no process can
change."""


class FusionExperiment(Experiment, MethodSettings):
    """Fusion heads over the features of `converters.student` and its converted ones."""

    NAMING: ClassVar[tuple[str, ...]] = ("baseline", "bundle")

    base: FusionSettings = Field(
        FusionSettings(),  # type: ignore[call-arg]
        description="Recipe that every variant starts from.",
    )
    variants: dict[str, dict[str, object]] = Field(
        {
            "student": {"teachers": []},
            "converted": {},
            "real": {"features": "real"},
            "random": {"converter": "random"},
        },
        description="Name of a variant and what it changes of base.",
    )
    baseline: str = Field("student", description="The variant that every other is compared with.")
    bundle: str | None = Field(
        "converted",
        description="The variant that is exported with all that it needs to predict videos, with the first "
        "of `seeds`; null: none. Its features are converted.",
    )

    @model_validator(mode="after")
    def _bundle_is_converted(self) -> FusionExperiment:
        if self.bundle is not None and self.variant(self.bundle).features == "real":
            text = f"{self.bundle} needs its teachers to run: choose a variant of converted features, or null"
            raise Problems([(("bundle",), text)])
        return self

    def problems(self, settings: CommonSettings) -> list[Problem]:
        """Fusion of what is not converted."""
        converters = settings.methods["converters"]
        if converters.student is None:
            return []
        known, found = list(converters.teachers), list[Problem]()
        for name in self.variants:
            variant, place = self.variant(name), ("fusion", "variants", name)
            for teacher in variant.teachers or ():
                if teacher not in known:
                    text = f"{teacher} is none of converters.teachers; {nearest(teacher, known)}"
                    found.append(((*place, "teachers"), text))
            if variant.converter not in converters.variants:
                near = nearest(variant.converter, list(converters.variants))
                text = f"no variant of converters is named {variant.converter!r}; {near}"
                found.append(((*place, "converter"), text))
        return found
