"""Settings of the student that a teacher and an assistant teach (seed 002)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from vidkd.config.base import Section
from vidkd.config.clips import NormalisedClipSettings
from vidkd.config.problems import Location, Problem, Problems
from vidkd.config.teacher import GateSettings
from vidkd.config.training import TrainingSettings
from vidkd.config.variants import Experiment
from vidkd.methods.base import MethodSettings
from vidkd.methods.problems import label_problems, network_problems, start_problems, view_problems

if TYPE_CHECKING:
    from vidkd.config.settings import CommonSettings

TEACHER, ASSISTANT = "teacher", "assistant"
"""Rows of the two frozen networks in the tables, and what terms of theirs begin with."""


class DistillationSettings(Section):
    """What a student learns from a teacher and an assistant, and in which form."""

    teacher_feature_weight: float = Field(
        1.0, ge=0, description="Weight of the teacher in every term; 0: there is none."
    )
    assistant_feature_weight: float = Field(
        0.8, ge=0, description="Weight of the assistant in every term; 0: there is none."
    )
    random_assistant: bool = Field(
        False,
        description="A control: the assistant as if its weights had not been loaded, which is what happened "
        "to the public code. Its head stays, and no gate asks.",
    )
    classification_weight: float = Field(1.0, ge=0, description="alpha, of the cross-entropy with the label.")
    feature_distillation_weight: float = Field(1.0, ge=0, description="beta, of the hidden states.")
    attention_distillation_weight: float = Field(0.5, ge=0, description="gamma, of the attention maps.")
    asymmetric_weight: float = Field(0.5, ge=0, description="delta, of the asymmetric term.")
    temperature: float = Field(4.0, gt=0, description="Temperature of classes in the asymmetric term.")
    hidden_layers_to_align: tuple[int, ...] = Field(
        (-1, -2, -3),
        min_length=1,
        description="Layers of the student whose hidden states and attention are compared, from the end or "
        "from 1.",
    )
    pairing: Literal["depth", "index"] = Field(
        "depth",
        description="Which layer of the other network a layer is compared with. depth: the one at the same "
        "share of its depth. index: the one of the same index (seed 002).",
    )
    feature: Literal["mse", "normalised"] = Field(
        "mse",
        description="mse: mean squared error of projected hidden states (seed 002). normalised: the same of "
        "tokens with mean 0 and deviation 1, whatever the scale of the other network.",
    )
    attention: Literal["kl", "mse"] = Field(
        "kl",
        description="kl: KL of the rows of the maps, mean over heads. mse: their mean squared error (seed "
        "002), which is about 1e-6 with 1568 tokens.",
    )
    asymmetric: Literal["confidence", "decorrelation"] = Field(
        "confidence",
        description="confidence: KL to the classes of teacher and assistant, mixed for each clip by how sure "
        "each is. decorrelation: what the student gives the teacher's and the assistant's projector shall "
        "not be the same twice.",
    )

    @property
    def distils(self) -> bool:
        """Whether any term needs another network."""
        terms = (
            self.feature_distillation_weight,
            self.attention_distillation_weight,
            self.asymmetric_weight,
        )
        return bool(any(terms) and (self.teacher_feature_weight or self.assistant_feature_weight))

    @property
    def sources(self) -> dict[str, float]:
        """The weights of TEACHER and ASSISTANT, of those that teach."""
        weights = {TEACHER: self.teacher_feature_weight, ASSISTANT: self.assistant_feature_weight}
        return {name: weight for name, weight in weights.items() if weight and self.distils}

    @field_validator("hidden_layers_to_align")
    @classmethod
    def _layers(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if 0 in layers or len(set(layers)) < len(layers):
            raise ValueError(f"found {list(layers)}; allowed: each once, from 1 or from -1")
        return layers

    @model_validator(mode="after")
    def _teaches(self) -> Self:
        found: list[Problem] = []
        if not (self.distils or self.classification_weight):
            text = "nothing teaches: set it above 0, or a distillation weight and one of a network"
            found.append((("classification_weight",), text))
        decorrelated = self.asymmetric_weight and self.asymmetric == "decorrelation"
        if decorrelated and len(self.sources) == 1:
            text = "decorrelation is between teacher and assistant: set both weights above 0, or this to 0"
            found.append((("asymmetric_weight",), text))
        if decorrelated and self.sources and not self.feature_distillation_weight:
            text = "decorrelation is of what the feature term projects: set it above 0"
            found.append((("feature_distillation_weight",), text))
        if self.random_assistant and not self.assistant_feature_weight:
            text = "there is no assistant: set assistant_feature_weight above 0"
            found.append((("random_assistant",), text))
        if found:
            raise Problems(found)
        return self


class TriModelSettings(DistillationSettings, NormalisedClipSettings, TrainingSettings):
    """One student: its network, what it learns from teacher and assistant, and how it is trained."""

    epochs: int = Field(10, ge=1, description="Passes over the training split.")
    batch_size: int = Field(4, ge=1, description="Clips in a batch, of all processes together.")
    optimizer: Literal["sgd", "adamw"] = Field("adamw", description="sgd (momentum) or adamw.")
    lr: float = Field(5e-5, gt=0, description="Peak learning rate.")
    weight_decay: float = Field(0.05, ge=0, description="Weight decay; none on norms and biases.")
    warmup_epochs: float = Field(
        1, ge=0, description="Epochs of linear warm-up from zero (seed 002: a tenth of them)."
    )
    clip_grad: float | None = Field(
        1.0, gt=0, description="Largest gradient norm; null leaves gradients alone."
    )
    size: int = Field(
        0, ge=0, description="Height and width of a clip in pixels; 0: those of the network it starts from."
    )
    frames: int = Field(16, ge=1, description="Frames of a clip, of all three networks.")
    backbone: str | None = Field(
        None,
        description="Start: a network of `backbones` of the kind videomae, with its weights and "
        "preprocessing; null: width, layers and so on, with random weights, and mean and std.",
    )
    width: int = Field(384, ge=8, description="Width, where backbone is null.")
    layers: int = Field(12, ge=1, description="Layers, where backbone is null.")
    heads: int = Field(6, ge=1, description="Attention heads, where backbone is null.")
    patch: int = Field(16, ge=1, description="Side of a patch in pixels, where backbone is null.")
    tubelet: int = Field(2, ge=1, description="Frames of a tubelet, where backbone is null.")
    mlp_ratio: float = Field(4.0, gt=0, description="Width of the MLP over width, where backbone is null.")
    initial_std: float = Field(
        0.02, gt=0, description="Standard deviation of new weights, where backbone is null."
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="Factor of the learning rate from each layer to the one below."
    )
    drop_path: float = Field(
        0.0, ge=0, lt=1, description="Chance that a clip skips the last layer; it falls to 0 at the first."
    )
    mixup: float = Field(
        0.0, ge=0, description="alpha of the Beta distribution that clips are mixed by; 0: they are not."
    )
    gradient_checkpointing: bool = Field(
        False, description="Layers are computed again for their gradients: less memory, more time."
    )
    unlabelled: Literal["distil", "drop"] = Field(
        "distil",
        description="Training clips without a label: learn from teacher and assistant alone, or are left "
        "out.",
    )
    all_labels: bool = Field(
        False, description="Every label that there is may be used, whatever trimodel.labels says."
    )

    @model_validator(mode="after")
    def _learns(self) -> TriModelSettings:
        found: list[Problem] = []
        if 0 < self.size < 16:
            found.append((("size",), f"found {self.size}; allowed: 0, or whole number from 16"))
        if self.backbone is None:
            found += self._wrong_architecture()
        if found:
            raise Problems(found)
        return self

    def _wrong_architecture(self) -> list[Problem]:
        """Sizes of a new network that do not divide."""
        found: list[Problem] = []
        if self.size == 0:
            found.append((("size",), "a new network has no size of its own: set it, or backbone"))
        elif self.size % self.patch:
            found.append((("patch",), f"{self.size} pixels do not divide into patches of {self.patch}"))
        if self.width % self.heads:
            found.append((("heads",), f"a width of {self.width} does not divide by {self.heads}"))
        if self.frames % self.tubelet:
            text = f"{self.frames} frames do not divide into tubelets of {self.tubelet}"
            found.append((("frames",), text))
        return found


class TriModelExperiment(Experiment, MethodSettings):
    """Students of one teacher and one assistant: a base recipe, and variants that change a few settings."""

    RESERVED: ClassVar[dict[str, str]] = {
        TEACHER: "teacher is the row of the teacher",
        ASSISTANT: "assistant is the row of the assistant",
        "teachers": "teachers is the folder of their heads",
        "export": "export is the folder of the exported student",
    }
    NAMING: ClassVar[tuple[str, ...]] = ("baseline",)

    teacher: str | None = Field(
        None,
        description="The teacher: a network of `backbones` of the kind videomae; null: no students.",
    )
    assistant: str | None = Field(
        None, description="The assistant: another one, such as an AMD checkpoint fine-tuned on SSv2."
    )
    gate: GateSettings = GateSettings()  # type: ignore[call-arg]
    label: str | None = Field(
        None,
        description="The label that is learnt, where videos carry several (demo: motion, shape, texture, "
        "colour); null: the data set's own.",
    )
    labels: Literal["all", "marked"] = Field(
        "all",
        description="Training labels that may be used, by the heads of teacher and assistant as well: all, "
        "or those that the data set marks as labelled (demo.low_label, data.labelled).",
    )
    normal: str | None = Field(
        None,
        description="The class of what is nothing special (XD-Violence: normal): the table has the average "
        "precision of all others against it. null: none.",
    )
    base: TriModelSettings = Field(
        TriModelSettings(size=224),  # type: ignore[call-arg]
        description="Recipe that every variant starts from.",
    )
    variants: dict[str, dict[str, object]] = Field(
        {
            "ce": {"teacher_feature_weight": 0, "assistant_feature_weight": 0},
            "teacher_only": {"assistant_feature_weight": 0},
            "assistant_only": {"teacher_feature_weight": 0},
            "both": {},
            "no_attention": {"attention_distillation_weight": 0},
            "no_asymmetric": {"asymmetric_weight": 0},
            "random_assistant": {"random_assistant": True},
        },
        description="Name of a variant and what it changes of base.",
    )
    baseline: str = Field("ce", description="The variant that every other is compared with.")

    def problems(self, settings: CommonSettings) -> list[Problem]:
        """Networks that are none or of another kind, labels that the videos do not have, too many frames."""
        if self.teacher is None:
            return []
        named: list[tuple[Location, str | None]] = [
            (("trimodel", "teacher"), self.teacher), (("trimodel", "assistant"), self.assistant)
        ]  # fmt: skip
        found = start_problems(settings, "trimodel", self, "videomae")
        found += network_problems(settings, named, "videomae")
        found += view_problems(settings, "a teacher takes", [self.teacher, self.assistant])
        if self.assistant is None:
            text = "found null; allowed: a backbone, as there is a teacher"
            found.append((("trimodel", "assistant"), text))
        if self.assistant == self.teacher:
            text = f"{self.teacher} is the teacher: name another network"
            found.append((("trimodel", "assistant"), text))
        return found + label_problems(settings, [(("trimodel", "label"), self.label)])
