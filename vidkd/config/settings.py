"""The whole configuration of a run."""

from __future__ import annotations

from pydantic import Field, model_validator

from vidkd.config.base import Section
from vidkd.config.data import DataSettings, DemoSettings, FrameSettings
from vidkd.config.ffn import FFNExperiment
from vidkd.config.problems import Location, Problems


class ComputeSettings(Section):
    """What a job asks of the machine; never changes a result and never reruns anything."""

    gpus: int = Field(
        1, ge=0, le=8, description="GPUs of a training or extraction job; 0 on a machine without one."
    )
    workers: int = Field(
        0,
        ge=0,
        le=64,
        description="Loader processes of a training or prediction job; 0 loads in the job itself.",
    )
    mem_mb: int = Field(16000, ge=500, description="Memory of a training job in MB.")
    runtime: int = Field(1440, ge=1, description="Time limit of a training job in minutes.")


class ReportSettings(Section):
    """The report page; changing it rebuilds the page alone."""

    title: str = Field("vidkd report", description="Heading of the page.")


class Settings(Section):
    """Everything a run can be told."""

    results_dir: str = Field("results", min_length=1, description="Folder that everything is written under.")
    seeds: tuple[int, ...] = Field(
        (0,), min_length=1, description="Every training is repeated with each seed."
    )
    data: DataSettings = DataSettings()  # type: ignore[call-arg]
    demo: DemoSettings = DemoSettings()  # type: ignore[call-arg]
    frames: FrameSettings = FrameSettings()  # type: ignore[call-arg]
    ffn: FFNExperiment = FFNExperiment()  # type: ignore[call-arg]
    report: ReportSettings = ReportSettings()  # type: ignore[call-arg]
    compute: ComputeSettings = ComputeSettings()  # type: ignore[call-arg]

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        """Refuse at once what a job would refuse after hours of extraction."""
        kept = self.frames.per_video
        asked: list[tuple[Location, int]] = [(("ffn", "predict", "max_count"), self.ffn.predict.max_count)]
        asked += [
            (("ffn", "variants", name, "frame_counts"), max(self.ffn.variant(name).frame_counts))
            for name in self.ffn.variants
        ]
        found = [
            (
                where,
                f"{count} frames are asked of videos stored with {kept}: raise frames.per_video or lower it",
            )
            for where, count in asked
            if count > kept
        ]
        tables = {
            ("predict", "score_counts"): self.ffn.predict.score_counts,
            ("tfd", "report_counts"): self.ffn.tfd.report_counts,
        }
        for place, counts in tables.items():
            if wrong := [count for count in counts if count > self.ffn.predict.max_count]:
                found.append((("ffn", *place), f"{wrong} are above ffn.predict.max_count"))
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            found.append((("seeds",), f"found {list(self.seeds)}; allowed: distinct whole numbers from 0"))
        if found:
            raise Problems(found)
        return self
