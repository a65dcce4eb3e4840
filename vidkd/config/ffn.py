"""Settings of the Frame Flexible Network and of the TSM baselines it is compared with."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from vidkd.config.base import Section
from vidkd.config.training import TrainingSettings

Arch = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet_tiny"]


class FFNSettings(TrainingSettings):
    """One network on one or several frame counts. With one count and no weight alteration it is a plain TSM."""

    arch: Arch = Field("resnet50", description="Backbone; resnet_tiny (0.46 M parameters) is the demo's.")
    weights: str | None = Field(
        None,
        description="Start: a torchvision name (ResNet50_Weights.IMAGENET1K_V1), a .pth or .safetensors file, or null.",
    )
    init_from: str | None = Field(None, description="Start from the trained weights of this variant (same seed).")
    frame_counts: tuple[int, ...] = Field((4, 8, 16), min_length=1, description="Frame counts trained; any set.")
    specialised_norm: bool = Field(True, description="Each frame count has its own BatchNorm.")
    weight_alteration: bool = Field(True, description="Each frame count has its own depthwise 1x1 convolutions.")
    sharing: bool = Field(True, description="Convolutions and classifier are shared between frame counts.")
    shift: Literal["clip", "official", "none"] = Field(
        "clip",
        description="clip: shift within each clip. official: in groups of the largest count, which mixes videos.",
    )
    objective: Literal["distillation", "cross_entropy"] = Field(
        "distillation", description="Smaller counts learn from the largest one's predictions, or from the labels."
    )
    lambda_kl: float = Field(1.0, ge=0, description="Weight of the KL terms.")
    sampling: Literal["all", "mixed", "proportional"] = Field(
        "all",
        description="Counts in a step: all of them, one at random, or one with probability proportional to it.",
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="Dropout before the classifier.")
    param_groups: Literal["official", "seed"] = Field(
        "official", description="official: classifier x5 (bias x10), no decay on norms and biases. seed: one group."
    )
    size: int = Field(224, ge=16, description="Height and width of a clip in pixels.")
    crop_scales: tuple[float, ...] = Field(
        (1.0, 0.875, 0.75, 0.66), min_length=1, description="Training crops, as shares of the short side."
    )
    flip: Literal["none", "plain", "swap"] = Field(
        "none", description="Horizontal flip in training: none, plain, or swapping labels by flip_labels."
    )
    flip_labels: dict[str, str] = Field({}, description="Label after a flip, for those that it changes (both ways).")
    mean: tuple[float, float, float] = Field((0.485, 0.456, 0.406), description="RGB mean of the input, 0 to 1.")
    std: tuple[float, float, float] = Field((0.229, 0.224, 0.225), description="RGB standard deviation, 0 to 1.")

    @model_validator(mode="after")
    def _counts_and_sources(self) -> FFNSettings:
        if list(self.frame_counts) != sorted(set(self.frame_counts)) or self.frame_counts[0] < 1:
            raise ValueError("frame_counts must be positive, ascending and distinct, such as [4, 8, 16]")
        if self.weights and self.init_from:
            raise ValueError("weights and init_from both say where to start: set one")
        if not self.sharing and self.sampling != "all":
            raise ValueError("sharing: false trains every count in each step: sampling must be all")
        return self


class FFNExperiment(Section):
    """The FFN experiment: a base recipe, and variants that each change a few of its settings."""

    base: FFNSettings = Field(FFNSettings(), description="Recipe that every variant starts from.")  # type: ignore[call-arg]
    variants: dict[str, dict[str, object]] = Field(
        {
            "ffn": {},
            "tsm": {"frame_counts": [16], "weight_alteration": False},
            "st4": {"frame_counts": [4], "weight_alteration": False},
            "st8": {"frame_counts": [8], "weight_alteration": False},
        },
        description="Name of a variant and what it changes of base.",
    )
    ensembles: dict[str, tuple[str, ...]] = Field(
        {}, description="Name of an ensemble and the variants whose class probabilities are averaged."
    )
    separate: dict[int, str] = Field(
        {4: "st4", 8: "st8", 16: "tsm"},
        description="The variant trained at each frame count alone: the row `st`, and what deviations are measured from.",
    )
    report_counts: tuple[int, ...] = Field((4, 8, 16), min_length=1, description="Frame counts of tfd.csv.")
    max_count: int = Field(16, ge=1, description="any_frame.csv has every count from 1 to this.")

    @model_validator(mode="after")
    def _names(self) -> FFNExperiment:
        for name in self.variants:
            resolved = self.variant(name)
            if resolved.init_from is not None and resolved.init_from not in self.variants:
                raise ValueError(f"variants.{name}.init_from: no variant is named {resolved.init_from!r}")
        known = set(self.variants)
        for place, names in [*self.ensembles.items(), ("separate", tuple(self.separate.values()))]:
            for name in names:
                if name not in known:
                    raise ValueError(f"{place}: no variant is named {name!r}; known: {', '.join(sorted(known))}")
        return self

    def variant(self, name: str) -> FFNSettings:
        """The complete settings of variant `name`."""
        return FFNSettings.model_validate({**self.base.model_dump(), **self.variants[name]})
