"""The whole configuration of a run."""

from __future__ import annotations

from pydantic import Field

from vidkd.config.base import Section
from vidkd.config.data import DataSettings, DemoSettings, FrameSettings
from vidkd.config.ffn import FFNExperiment


class ComputeSettings(Section):
    """What a job asks of the machine; never changes a result and never reruns anything."""

    gpus: int = Field(
        1, ge=0, le=8, description="GPUs of a training or extraction job; 0 on a machine without one."
    )
    workers: int = Field(
        0, ge=0, le=64, description="Loader processes of a training or prediction job; 0 loads in the job itself."
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
