"""The whole configuration of a run."""

from __future__ import annotations

import os
import re
from typing import Any, Literal, Self

from pydantic import Field, create_model, field_validator, model_validator

from vidkd.config.backbones import FIXED, FRAMES, BackboneSettings
from vidkd.config.base import Section
from vidkd.config.checkpoints import PER_FRAME, CheckpointSettings, SourceSettings
from vidkd.config.data import DataSettings, DemoSettings, FrameSettings
from vidkd.config.problems import Location, Problem, Problems, nearest, too_many_frames
from vidkd.config.variants import NAME
from vidkd.registry import METHODS, find_method


class ComputeSettings(Section):
    """What a job asks of the machine; reruns nothing, and changes no result but the last bits of a GPU's."""

    gpus: int = Field(
        1,
        ge=0,
        le=64,
        description="GPUs of a job that trains or runs a network: 1, or 0 on a machine without one. With "
        "more, trainings of ffn, student and trimodel have a process for each (docs/several_gpus.md).",
    )
    workers: int = Field(
        0,
        ge=0,
        le=64,
        description="Loader processes of a job that reads clips: training, prediction, extraction of "
        "features; 0 loads in the job itself.",
    )
    mem_mb: int = Field(
        16000, ge=500, description="Memory in MB of a job that trains or runs a network, or fits a head."
    )
    runtime: int = Field(1440, ge=1, description="Time limit of such a job in minutes.")
    batch: int = Field(
        8,
        ge=1,
        le=4096,
        description="Clips of a batch when the features of frozen networks are cached: fewer when memory is "
        "short.",
    )
    trackers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = Field(
        (),
        description="Where trainings by epochs send each row of history.csv as well, while they run "
        "(docs/report.md). Optional packages. By hand: VIDKD_TRACKERS=tensorboard,wandb in the environment.",
    )


class LatencySettings(Section):
    """How what a clip takes is measured; changing it measures again and trains nothing."""

    rounds: int = Field(
        30,
        ge=2,
        le=10000,
        description="Rounds whose median and quartiles are told; each runs every network of a method once, "
        "on one thread and then on two. Fewer where networks are large and there is no GPU.",
    )


class ReportSettings(Section):
    """The report page; changing it rebuilds the page alone."""

    title: str = Field("vidkd report", description="Heading of the page.")


class CommonSettings(Section):
    """Everything a run can be told, but what its methods are told."""

    results_dir: str = Field(
        "results",
        min_length=1,
        description="Folder that everything is written under; letters, digits and . / + @ ~ - _ only.",
    )
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="Every training is run with each of them.")
    data: DataSettings = DataSettings()  # type: ignore[call-arg]
    demo: DemoSettings = DemoSettings()  # type: ignore[call-arg]
    frames: FrameSettings = FrameSettings()  # type: ignore[call-arg]
    backbones: dict[str, BackboneSettings] = Field(
        {}, description="Name of a frozen network and what it is; its features are cached under that name."
    )
    source: SourceSettings = SourceSettings()  # type: ignore[call-arg]
    checkpoints: dict[str, CheckpointSettings] = Field(
        {}, description="Name of a small network that is trained on `source`, and what it is."
    )
    latency: LatencySettings = LatencySettings()  # type: ignore[call-arg]
    report: ReportSettings = ReportSettings()  # type: ignore[call-arg]
    compute: ComputeSettings = ComputeSettings()  # type: ignore[call-arg]

    @field_validator("results_dir")
    @classmethod
    def _one_word(cls, folder: str) -> str:
        if not re.fullmatch(r"[\w./+@~-]+", folder):
            raise ValueError(
                f"found {folder!r}; allowed: letters, digits and . / + @ ~ - _, for it stands in commands"
            )
        return folder

    @field_validator("backbones")
    @classmethod
    def _one_file_one_sum(cls, backbones: dict[str, BackboneSettings]) -> dict[str, BackboneSettings]:
        first: dict[str, str] = {}
        for name, used in backbones.items():
            if used.file is None:
                continue
            other = first.setdefault(os.path.normpath(used.file), name)
            if backbones[other].sha256 != used.sha256:
                text = f"is that of backbones.{other}, with another sha256: give each its own file"
                raise Problems([((name, "file"), text)])
        return backbones

    @field_validator("backbones", "checkpoints")
    @classmethod
    def _folder_names(cls, named: dict[str, Section]) -> dict[str, Section]:
        text = "wrong name; allowed: lower-case letters, digits and _, for it names a folder"
        if wrong := [name for name in named if not re.fullmatch(NAME, name)]:
            raise Problems([((name,), text) for name in wrong])
        return named

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """Refuse at once what a job would refuse after hours of extraction."""
        found = [
            (where, too_many_frames(count, self.frames.per_video))
            for where, count in self._asked_frames()
            if count > self.frames.per_video
        ]
        if len(set(self.seeds)) < len(self.seeds) or not all(0 <= seed < 2**32 for seed in self.seeds):
            found.append((("seeds",), f"found {list(self.seeds)}; allowed: distinct whole numbers from 0"))
        found += self._checkpoint_problems()
        for method in self.methods.values():
            found += method.problems(self)
        if found:
            raise Problems(found)
        return self

    @property
    def methods(self) -> dict[str, Any]:
        """The section of each method by name."""
        return {name: getattr(self, name) for name in METHODS}

    def _asked_frames(self) -> list[tuple[Location, int]]:
        """Every place that asks for frames of a video, and how many."""
        asked: list[tuple[Location, int]] = [
            (
                ("backbones", name, "frames" if used.views == 1 else "views"),
                self._clip_frames(used) * used.views,
            )
            for name, used in self.backbones.items()
        ]
        return asked + [
            (("checkpoints", name, "frames"), made.frames) for name, made in self.checkpoints.items()
        ]

    def _clip_frames(self, used: BackboneSettings) -> int:
        """Frames of a backbone's clip; 1 where only its files can tell."""
        if used.frames is not None or used.kind in PER_FRAME:
            return used.frames or FRAMES
        made = self.checkpoints.get(used.checkpoint or "")
        return 1 if made is None else made.frames

    def _checkpoint_problems(self) -> list[Problem]:
        """Backbones whose checkpoint is not made here, is of another kind, or takes other frames."""
        found: list[Problem] = []
        for name, used in self.backbones.items():
            made = self.checkpoints.get(used.checkpoint or "")
            if used.checkpoint is not None and made is None:
                known = nearest(used.checkpoint, list(self.checkpoints))
                text = f"no checkpoint is called {used.checkpoint}; {known}"
                found.append((("backbones", name, "checkpoint"), text))
            elif made is not None and made.kind != used.kind:
                text = f"checkpoint {used.checkpoint} is of the kind {made.kind}: set kind to that"
                found.append((("backbones", name, "kind"), text))
            elif made is not None and used.kind in FIXED and used.frames not in (None, made.frames):
                text = f"checkpoint {used.checkpoint} takes {made.frames} frames and no other: leave it out"
                found.append((("backbones", name, "frames"), text))
        return found


Settings: type[CommonSettings] = create_model(
    "Settings",
    __base__=CommonSettings,
    __doc__="Everything a run can be told.",
    **{name: (find_method(name).SECTION, find_method(name).SECTION()) for name in METHODS},  # type: ignore[call-overload]
)
"""With a section for each method, under its name."""
