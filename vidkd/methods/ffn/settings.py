"""Settings of the Frame Flexible Network and of the TSM baselines it is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from vidkd.config.base import Section
from vidkd.config.clips import NormalisedClipSettings
from vidkd.config.problems import Location, Problem, Problems, nearest, too_many_frames
from vidkd.config.training import SUFFIXES, TrainingSettings, is_weights_file, torchvision_network
from vidkd.config.variants import Experiment, wrong_names
from vidkd.methods.base import MethodSettings

if TYPE_CHECKING:
    from vidkd.config.settings import CommonSettings


Arch = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet_tiny"]


def nearest_count(counts: Iterable[int], frames: int) -> int:
    """Choose the trained frame count that serves clips of `frames`: the nearest, ties to the higher."""
    return min(counts, key=lambda count: (abs(count - frames), -count))


class FFNSettings(NormalisedClipSettings, TrainingSettings):
    """One network on one or several frame counts; with one, and no weight alteration, it is a plain TSM."""

    arch: Arch = Field("resnet50", description="Backbone; resnet_tiny (0.46 M parameters) is the demo's.")
    weights: str | None = Field(
        None,
        description="Start: a torchvision name (ResNet50_Weights.IMAGENET1K_V1), a file (.safetensors, "
        ".pth, .pt, .bin, .tar), or null.",
    )
    init_from: str | None = Field(
        None, description="Start from the trained weights of this variant (same seed)."
    )
    frame_counts: tuple[int, ...] = Field(
        (4, 8, 16), min_length=1, description="Frame counts trained; any set."
    )
    specialised_norm: bool = Field(True, description="Each frame count has its own BatchNorm.")
    weight_alteration: bool = Field(
        True, description="Each frame count has its own depthwise 1x1 convolutions."
    )
    sharing: bool = Field(True, description="Convolutions and classifier are shared between frame counts.")
    shift: Literal["clip", "official", "none"] = Field(
        "clip",
        description="clip: shift within each clip. official: in groups of the largest count, which "
        "mixes videos.",
    )
    shift_fraction: float = Field(
        0.125,
        ge=0,
        le=0.5,
        description="Share of the channels shifted forward in time, and as many backward.",
    )
    objective: Literal["distillation", "cross_entropy"] = Field(
        "distillation",
        description="Smaller counts learn from the largest one's predictions, or from the labels.",
    )
    lambda_kl: float = Field(1.0, ge=0, description="Weight of the KL terms.")
    sampling: Literal["all", "mixed", "proportional"] = Field(
        "all",
        description="Counts in a step: all of them, one at random, or one with probability proportional "
        "to it.",
    )
    select: Literal["largest", "mean"] = Field(
        "largest",
        description="Validation accuracy that chooses the best epoch: the largest count's, or the mean.",
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="Dropout before the classifier.")
    param_groups: Literal["official", "seed"] = Field(
        "official",
        description="official: classifier x5 (bias x10), no decay on norms and biases. seed: one group.",
    )

    @field_validator("weights")
    @classmethod
    def _start(cls, weights: str | None) -> str | None:
        if weights is not None and not is_weights_file(weights) and torchvision_network(weights) is None:
            raise ValueError(
                f"found {weights!r}; allowed: a torchvision name, such as ResNet50_Weights.IMAGENET1K_V1, "
                f"or a file whose name ends in {', '.join(SUFFIXES)}"
            )
        return weights

    @model_validator(mode="after")
    def _counts_and_sources(self) -> FFNSettings:
        if list(self.frame_counts) != sorted(set(self.frame_counts)) or self.frame_counts[0] < 1:
            raise ValueError("frame_counts must be positive, ascending and distinct, such as [4, 8, 16]")
        if self.weights and self.init_from:
            raise ValueError("weights and init_from both say where to start: set one")
        if self.weights and torchvision_network(self.weights) not in (None, self.arch):
            raise ValueError(f"weights {self.weights} are not of arch {self.arch}: change one of them")
        if not self.sharing and self.sampling != "all":
            raise ValueError("sharing: false trains every count in each step: sampling must be all")
        return self


class PredictSettings(Section):
    """Which frame counts a trained network is run at."""

    max_count: int = Field(
        16, ge=1, description="Every frame count from 1 to this is predicted, for any_frame.csv."
    )
    score_counts: tuple[int, ...] = Field(
        (4, 8, 16), description="Frame counts whose class probabilities are kept in predictions.csv."
    )


class TFDSettings(Section):
    """The table of temporal frequency deviation."""

    report_counts: tuple[int, ...] = Field((4, 8, 16), min_length=1, description="Frame counts of tfd.csv.")
    separate: dict[int, str] = Field(
        {4: "st4", 8: "st8", 16: "tsm"},
        description="The variant trained at each frame count alone: the row `st`, and what deviations "
        "are measured from; empty leaves both out.",
    )


class FFNExperiment(Experiment, MethodSettings):
    """The FFN experiment: a base recipe, and variants that each change a few of its settings."""

    RESERVED: ClassVar[dict[str, str]] = {"st": "st is the row of separate training"}

    base: FFNSettings = Field(FFNSettings(), description="Recipe that every variant starts from.")  # type: ignore[call-arg]
    variants: dict[str, dict[str, object]] = Field(
        {
            "ffn": {},
            "tsm": {"frame_counts": [16], "weight_alteration": False},
            "st4": {"frame_counts": [4], "weight_alteration": False},
            "st8": {"frame_counts": [8], "weight_alteration": False},
        },
        description="Name of a variant and what it changes of base; with {} there is nothing of FFN.",
    )
    ensembles: dict[str, tuple[str, ...]] = Field(
        {}, description="Name of an ensemble and the variants whose class probabilities are averaged."
    )
    predict: PredictSettings = PredictSettings()  # type: ignore[call-arg]
    tfd: TFDSettings = TFDSettings()  # type: ignore[call-arg]

    @field_validator("ensembles", mode="after")
    @classmethod
    def _ensemble_names(cls, ensembles: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        found = wrong_names(ensembles, cls.RESERVED)
        found += [
            ((name,), "found []; allowed: one variant or more") for name in ensembles if not ensembles[name]
        ]
        if found:
            raise Problems(found)
        return ensembles

    @model_validator(mode="after")
    def _whole(self) -> FFNExperiment:
        if found := self._wrong_references() or self._wrong_starts():
            raise Problems(found)
        return self

    def _wrong_references(self) -> list[Problem]:
        """Every place that names a variant which does not exist, and every name used twice."""
        places: list[tuple[Location, str]] = [
            (("tfd", "separate", count), name) for count, name in self.tfd.separate.items() if self.variants
        ]
        places += [
            (("ensembles", name), member) for name, members in self.ensembles.items() for member in members
        ]
        places += [
            (("variants", name, "init_from"), start)
            for name in self.variants
            if (start := self.variant(name).init_from)
        ]
        found = [
            (where, f"no variant is named {name!r}; {nearest(name, list(self.variants))}")
            for where, name in places
            if name not in self.variants
        ]
        twice = self.variants.keys() & self.ensembles.keys()
        return found + [
            (("ensembles", name), "a variant has this name too: choose another") for name in sorted(twice)
        ]

    def _wrong_starts(self) -> list[Problem]:
        """Every variant that would wait for its own trained weights."""
        found: list[Problem] = []
        for name in self.variants:
            seen = {name}
            start = self.variant(name).init_from
            while start is not None and start not in seen:
                seen.add(start)
                start = self.variant(start).init_from
            if start == name:
                found.append(
                    (("variants", name, "init_from"), "leads back to this variant; start from another one")
                )
        return found

    def problems(self, settings: CommonSettings) -> list[Problem]:
        """More frames or pixels than are kept, counts that are not predicted, starts that do not fit."""
        kept, largest = settings.frames.per_video, self.predict.max_count
        tables: dict[Location, Sequence[int]] = {
            ("ffn", "predict", "score_counts"): self.predict.score_counts,
            ("ffn", "tfd", "report_counts"): self.tfd.report_counts,
        }
        found: list[Problem] = [
            (place, f"{wrong} are above ffn.predict.max_count")
            for place, counts in tables.items()
            if (wrong := [count for count in counts if count > largest])
        ]
        if not self.variants:
            return found
        asked: list[tuple[Location, int]] = [(("predict", "max_count"), largest)]
        asked += [
            (("variants", name, "frame_counts"), max(self.variant(name).frame_counts))
            for name in self.variants
        ]
        found += [(("ffn", *where), too_many_frames(count, kept)) for where, count in asked if count > kept]
        for name in self.variants:
            problems = self._variant_problems(name, settings)
            found += [(("ffn", "variants", name, *where), text) for where, text in problems]
        return found

    def _variant_problems(self, name: str, settings: CommonSettings) -> list[Problem]:
        variant, kept = self.variant(name), settings.frames
        found: list[Problem] = []
        if variant.size > kept.short_side:
            text = (
                f"clips of {variant.size} pixels of frames stored with {kept.short_side}: raise "
                "frames.short_side or lower it"
            )
            found.append((("size",), text))
        for count, sampling in (
            (max(variant.frame_counts), variant.frame_sampling),
            (self.predict.max_count, variant.eval_frame_sampling),
        ):
            if count <= kept.per_video < (span := variant.kept_frames(count, sampling)):
                text = (
                    f"dense clips of {count} frames span {span} of the {kept.per_video} frames kept of a "
                    "video: raise frames.per_video or lower it"
                )
                found.append((("frame_stride",), text))
        if variant.init_from is not None and self.variant(variant.init_from).arch != variant.arch:
            found.append(
                (("init_from",), f"{variant.init_from} has another arch than {name}: give both the same")
            )
        largest = max(variant.frame_counts)
        if variant.shift == "official" and any(
            variant.batch_size * n % largest for n in variant.frame_counts
        ):
            text = (
                f"official groups {largest} frames: batch_size times every frame count must be a multiple "
                "of it"
            )
            found.append((("shift",), text))
        return found
