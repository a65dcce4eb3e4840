"""Settings by the names that seed 002 gives them; defaults are those of `trimodel.base`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import ConfigDict, Field, ValidationError, field_validator

from vidkd.config.base import Section
from vidkd.config.problems import problems, sentence
from vidkd.config.teacher import GateSettings
from vidkd.errors import UserError
from vidkd.methods.trimodel.settings import DistillationSettings, TriModelSettings

_VIDEOMAE = "MCG-NJU/videomae-base"

_NAMED = {
    "lr": "learning_rate", "batch_size": "batch_size", "epochs": "num_epochs", "validate_steps": "eval_steps",
    "accumulate": "gradient_accumulation_steps",
}  # fmt: skip
"""Settings of a student, and what they are called here."""

_ELSEWHERE = (
    "backbone", "frames", "size", "eval_crop", "mean", "std", "width", "layers", "heads", "patch", "tubelet",
    "mlp_ratio", "initial_std",
)  # fmt: skip
"""Settings of a student that follow from the networks and their preprocessing: here all start from one."""


def _default(name: str) -> Any:
    return TriModelSettings.model_fields[name].default


class TriModelConfig(DistillationSettings):
    """The three networks, and what the student learns from the other two."""

    teacher_model_name: str = Field(
        _VIDEOMAE, description="A VideoMAE of transformers: a folder, or owner/name of the hub."
    )
    assistant_model_path: str | None = Field(
        None,
        description="A VideoMAE or a checkpoint in AMD's own format: a file or a folder. null: AMD's ViT-S "
        "for Something-Something v2, fetched into ssv2_models.",
    )
    student_model_name: str = Field(_VIDEOMAE, description="What the student starts from, as the teacher's.")
    margin: float = Field(
        GateSettings.model_fields["margin"].default,
        ge=0,
        le=100,
        description="The gate: points of validation top-1 above the largest class, under which a teacher or "
        "an assistant is refused.",
    )
    normal: str | None = Field(
        None,
        description="The class of what is nothing special (XD-Violence: normal): figures have the average "
        "precision of all others against it too. null: none.",
    )


class TrainingArguments(Section):
    """How the student is trained. Values may be set anew until `train` is called."""

    model_config = ConfigDict(frozen=False, validate_assignment=True)

    output_dir: str = Field(
        "tri_model_distilled_videomae", description="Folder of features, heads and student."
    )
    learning_rate: float = Field(_default("lr"), gt=0, description="Peak learning rate.")
    batch_size: int = Field(_default("batch_size"), ge=1, description="Clips in a batch.")
    num_epochs: int = Field(_default("epochs"), ge=1, description="Passes over the training split.")
    warmup_ratio: float = Field(0.1, ge=0, lt=1, description="Share of the steps with linear warm-up.")
    eval_steps: int = Field(
        100, ge=1, description="Steps between validations, of which the best one's weights are kept."
    )
    save_steps: int = Field(
        200, ge=1, description="Steps after which the state is saved, beside each two minutes."
    )
    gradient_accumulation_steps: int = Field(
        _default("accumulate"), ge=1, description="Batches whose gradients are added before a step."
    )
    num_workers: int = Field(0, ge=0, description="Loader processes; no effect on the result.")
    seed: int = Field(0, ge=0, description="Of new weights, the order and the augmentation.")
    recipe: dict[str, Any] = Field(
        {}, description="Further settings of a student, as in trimodel.base: layer_decay, mixup, flip …"
    )

    @field_validator("recipe")
    @classmethod
    def _further(cls, recipe: dict[str, Any]) -> dict[str, Any]:
        named = {*DistillationSettings.model_fields, *_NAMED, *_ELSEWHERE} & recipe.keys()
        if named:
            raise ValueError(
                f"{min(named)} is no further setting: it has another name, or follows from others"
            )
        return recipe


class DistillationRun(TriModelConfig, TrainingArguments):
    """Both, for who gives them together."""

    def parted(self) -> tuple[TriModelConfig, TrainingArguments]:
        """Each for itself."""
        config, args = (
            model.model_validate({name: getattr(self, name) for name in model.model_fields})
            for model in (TriModelConfig, TrainingArguments)
        )
        return cast(TriModelConfig, config), cast(TrainingArguments, args)


def checked(config: Mapping[str, Any]) -> DistillationRun:
    """Settings by name.

    Raises:
        UserError: one is unknown or wrong.
    """
    try:
        return DistillationRun.model_validate(config)
    except ValidationError as error:
        raise UserError("\n".join(map(sentence, problems(DistillationRun, error)))) from None


def student_settings(config: TriModelConfig, args: TrainingArguments, frames: int) -> TriModelSettings:
    """The settings of the student that both together ask for.

    Raises:
        UserError: `args.recipe` has an unknown setting, or values do not fit together.
    """
    distillation = {name: getattr(config, name) for name in DistillationSettings.model_fields}
    values = {
        **distillation, **{ours: getattr(args, theirs) for ours, theirs in _NAMED.items()},
        "backbone": "student", "frames": frames, "warmup_epochs": args.warmup_ratio * args.num_epochs,
        **args.recipe,
    }  # fmt: skip
    try:
        return TriModelSettings.model_validate(values)
    except ValidationError as error:
        raise UserError("\n".join(map(sentence, problems(TriModelSettings, error)))) from None
