"""The whole configuration of a run."""

from __future__ import annotations

import os
import re

from pydantic import Field, field_validator, model_validator

from vidkd.config.backbones import FIXED, FRAMES, BackboneSettings
from vidkd.config.base import Section
from vidkd.config.checkpoints import PER_FRAME, CheckpointSettings, SourceSettings
from vidkd.config.data import WITH_LABELS, DataSettings, DemoSettings, FrameSettings
from vidkd.config.problems import Location, Problem, Problems, nearest
from vidkd.config.variants import NAME
from vidkd.methods.converters.settings import ConverterExperiment
from vidkd.methods.ffn.settings import FFNExperiment
from vidkd.methods.fusion.settings import FusionExperiment, FusionSettings
from vidkd.methods.probes.settings import ProbeSettings
from vidkd.methods.student.settings import StudentExperiment
from vidkd.methods.trimodel.settings import TriModelExperiment


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
    tensorboard: bool = Field(
        False,
        description="Trainings by epochs write each row of history.csv for TensorBoard as well, while they "
        "run, into tensorboard/ in the run's folder. An optional package: pip install '.[tensorboard]'. By "
        "hand: VIDKD_TENSORBOARD=1 in the environment.",
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


class Settings(Section):
    """Everything a run can be told."""

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
    probes: ProbeSettings = ProbeSettings()  # type: ignore[call-arg]
    converters: ConverterExperiment = ConverterExperiment()  # type: ignore[call-arg]
    fusion: FusionExperiment = FusionExperiment()  # type: ignore[call-arg]
    student: StudentExperiment = StudentExperiment()  # type: ignore[call-arg]
    trimodel: TriModelExperiment = TriModelExperiment()  # type: ignore[call-arg]
    ffn: FFNExperiment = FFNExperiment()  # type: ignore[call-arg]
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
    def _fits_together(self) -> Settings:
        """Refuse at once what a job would refuse after hours of extraction."""
        kept = self.frames.per_video
        found = [
            (
                where,
                f"{count} frames are asked of videos stored with {kept}: raise frames.per_video or lower it",
            )
            for where, count in self._asked_frames()
            if count > kept
        ]
        tables = {
            ("predict", "score_counts"): self.ffn.predict.score_counts,
            ("tfd", "report_counts"): self.ffn.tfd.report_counts,
        }
        for place, counts in tables.items():
            if wrong := [count for count in counts if count > self.ffn.predict.max_count]:
                found.append((("ffn", *place), f"{wrong} are above ffn.predict.max_count"))
        if len(set(self.seeds)) < len(self.seeds) or not all(0 <= seed < 2**32 for seed in self.seeds):
            found.append((("seeds",), f"found {list(self.seeds)}; allowed: distinct whole numbers from 0"))
        found += self._checkpoint_problems()
        if self.probes.labels and self.data.adapter not in WITH_LABELS:
            text = f"the videos of data.adapter {self.data.adapter} have one label each: leave it empty"
            found.append((("probes", "labels"), text))
        found += self._converter_problems()
        found += self._student_problems()
        found += self._trimodel_problems()
        for name in self.ffn.variants:
            found += [
                (("ffn", "variants", name, *where), text) for where, text in self._variant_problems(name)
            ]
        if found:
            raise Problems(found)
        return self

    @property
    def probe_labels(self) -> tuple[str, ...]:
        """The labels that heads are fitted for."""
        return self.probes.labels or (self.data.own_label,)

    @property
    def student_label(self) -> str:
        """The label that students learn."""
        return self.student.label or self.data.own_label

    @property
    def learnt_labels(self) -> tuple[str, ...]:
        """The labels that students learn, and that a teacher is measured for."""
        found = (self.student_label, *self.student.also_judged) if self.student.teacher.backbone else ()
        return found + ((self.trimodel_label,) if self.trimodel.teacher else ())

    @property
    def trimodel_label(self) -> str:
        """The label that students of a teacher and an assistant learn."""
        return self.trimodel.label or self.data.own_label

    def fusion_variant(self, name: str) -> FusionSettings:
        """The complete settings of a fusion head, with the names of its teachers."""
        variant: FusionSettings = self.fusion.variant(name)
        if variant.teachers is not None:
            return variant
        return variant.model_copy(update={"teachers": self.converters.teachers})

    def _asked_frames(self) -> list[tuple[Location, int]]:
        """Every place that asks for frames of a video, and how many."""
        asked: list[tuple[Location, int]] = []
        if self.ffn.variants:
            asked.append((("ffn", "predict", "max_count"), self.ffn.predict.max_count))
        asked += [
            (("ffn", "variants", name, "frame_counts"), max(self.ffn.variant(name).frame_counts))
            for name in self.ffn.variants
        ]
        asked += [
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

    def _converter_problems(self) -> list[Problem]:
        """Students and teachers that are no backbones, and fusion of what is not converted."""
        experiment, known = self.converters, list(self.backbones)
        if experiment.student is None:
            return []
        named = [(("student",), experiment.student), *((("teachers",), name) for name in experiment.teachers)]
        found: list[Problem] = [
            (("converters", *where), f"no backbone is called {name}; {nearest(name, known)}")
            for where, name in named
            if name not in known
        ]
        if not experiment.teachers:
            found.append((("converters", "teachers"), "found []; allowed: one backbone or more"))
        if experiment.student in experiment.teachers:
            found.append((("converters", "teachers"), f"{experiment.student} is the student: leave it out"))
        for name in {name for _, name in named} & set(known):
            if (used := self.backbones[name]).views * used.crops > 1:
                text = "converters take one view and one crop: cache it a second time, under another name"
                found.append((("backbones", name, "views" if used.views > 1 else "crops"), text))
        for name in self.fusion.variants:
            found += [(("fusion", "variants", name, *at), text) for at, text in self._fusion_problems(name)]
        return found

    def _fusion_problems(self, name: str) -> list[Problem]:
        variant, found = self.fusion_variant(name), list[Problem]()
        for teacher in variant.teachers or ():
            if teacher not in self.converters.teachers:
                known = nearest(teacher, list(self.converters.teachers))
                found.append((("teachers",), f"{teacher} is none of converters.teachers; {known}"))
        if variant.converter not in self.converters.variants:
            known = nearest(variant.converter, list(self.converters.variants))
            found.append(
                (("converter",), f"no variant of converters is named {variant.converter!r}; {known}")
            )
        return found

    def _student_problems(self) -> list[Problem]:
        """Networks that are none or of another kind, labels that the videos do not have, too many frames."""
        experiment = self.student
        if experiment.teacher.backbone is None:
            return []
        named: list[tuple[Location, str | None]] = [(("teacher", "backbone"), experiment.teacher.backbone)]
        found = self._taught_problems("student", experiment, "timm")
        found += self._network_problems("student", named, "clip")
        found += self._view_problems(experiment.teacher.backbone)
        labels: list[tuple[Location, str]] = [(("also_judged",), name) for name in experiment.also_judged]
        labels += [(("label",), experiment.label)] if experiment.label else []
        return found + self._label_problems("student", labels)

    def _trimodel_problems(self) -> list[Problem]:
        """The same of students with a teacher and an assistant."""
        experiment = self.trimodel
        if experiment.teacher is None:
            return []
        named: list[tuple[Location, str | None]] = [
            (("teacher",), experiment.teacher), (("assistant",), experiment.assistant)
        ]  # fmt: skip
        found = self._taught_problems("trimodel", experiment, "videomae")
        found += self._network_problems("trimodel", named, "videomae")
        found += self._view_problems(experiment.teacher, experiment.assistant)
        if experiment.assistant is None:
            text = "found null; allowed: a backbone, as there is a teacher"
            found.append((("trimodel", "assistant"), text))
        if experiment.assistant == experiment.teacher:
            text = f"{experiment.teacher} is the teacher: name another network"
            found.append((("trimodel", "assistant"), text))
        labels: list[tuple[Location, str]] = [(("label",), experiment.label)] if experiment.label else []
        return found + self._label_problems("trimodel", labels)

    def _taught_problems(
        self, section: str, experiment: StudentExperiment | TriModelExperiment, kind: str
    ) -> list[Problem]:
        """Variants that start from a network that is none, or ask for more frames than are kept."""
        found: list[Problem] = []
        for name in experiment.variants:
            variant = experiment.variant(name)
            place: list[tuple[Location, str | None]] = [(("variants", name, "backbone"), variant.backbone)]
            found += self._network_problems(section, place, kind)
            samplings = (variant.frame_sampling, variant.eval_frame_sampling)
            asked = max(variant.kept_frames(variant.frames, sampling) for sampling in samplings)
            if asked > self.frames.per_video:
                text = (
                    f"{asked} frames are asked of videos stored with {self.frames.per_video}: raise "
                    "frames.per_video or lower it"
                )
                found.append(((section, "variants", name, "frames"), text))
        return found

    def _network_problems(
        self, section: str, named: list[tuple[Location, str | None]], kind: str
    ) -> list[Problem]:
        """Names that are no backbones, or of another kind, or are cached with several views."""
        found: list[Problem] = []
        for where, name in named:
            if name is None:
                continue
            used = self.backbones.get(name)
            if used is None:
                text = f"no backbone is called {name}; {nearest(name, list(self.backbones))}"
                found.append(((section, *where), text))
            elif used.kind != kind:
                text = f"{name} is of the kind {used.kind}; allowed: the kind {kind}"
                found.append(((section, *where), text))
        return found

    def _view_problems(self, *names: str | None) -> list[Problem]:
        """Teachers whose features are cached with several views."""
        text = "a teacher takes one view and one crop: cache it a second time, under another name"
        return [
            (("backbones", name, "views" if used.views > 1 else "crops"), text)
            for name in names
            if name in self.backbones and (used := self.backbones[name]).views * used.crops > 1
        ]

    def _label_problems(self, section: str, labels: list[tuple[Location, str]]) -> list[Problem]:
        """Labels of videos that have one only, and names that name no file."""
        found: list[Problem] = []
        if self.data.adapter not in WITH_LABELS:
            text = f"the videos of data.adapter {self.data.adapter} have one label each: leave it empty"
            found += [((section, *where), text) for where, _ in labels]
        wrong = [(where, name) for where, name in labels if not re.fullmatch(NAME, name)]
        return found + [((section, *where), f"found {name!r}; allowed: {NAME}") for where, name in wrong]

    def _variant_problems(self, name: str) -> list[Problem]:
        variant, kept = self.ffn.variant(name), self.frames
        found: list[Problem] = []
        if variant.size > kept.short_side:
            text = (
                f"clips of {variant.size} pixels of frames stored with {kept.short_side}: raise "
                "frames.short_side or lower it"
            )
            found.append((("size",), text))
        for count, sampling in (
            (max(variant.frame_counts), variant.frame_sampling),
            (self.ffn.predict.max_count, variant.eval_frame_sampling),
        ):
            if count <= kept.per_video < (span := variant.kept_frames(count, sampling)):
                text = (
                    f"dense clips of {count} frames span {span} of the {kept.per_video} frames kept of a "
                    "video: raise frames.per_video or lower it"
                )
                found.append((("frame_stride",), text))
        if variant.init_from is not None and self.ffn.variant(variant.init_from).arch != variant.arch:
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
