"""Settings of the data set: where the videos are, how they are split, what their label is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vidkd.config.base import Section

SPLITS = ("train", "val", "test")
"""Names of the splits. Their order seeds the demo's videos: another order makes other videos."""


WITH_LABELS = ("demo",)
"""Adapters whose videos carry several labels, of which `data.label` names one."""


class DataSettings(Section):
    """Which videos are used and how they become a manifest."""

    adapter: Literal["demo", "csv", "folder", "ucf101", "hmdb51", "ssv2", "kinetics", "xd_violence"] = Field(
        "demo", description="Layout of the data set on disk; config/README.md shows each one."
    )
    root: str = Field(
        "data", min_length=1, description="Folder of the videos; no path of the manifest may leave it."
    )
    annotations: str = Field(
        "annotations", description="Folder of the split or label files; relative paths start at `root`."
    )
    official_split: int = Field(1, ge=1, le=3, description="Which official split of UCF101 or HMDB51.")
    label: str = Field(
        "motion",
        description="Which attribute is the label, where videos carry several (demo: motion, shape, "
        "texture, colour).",
    )
    compound: Literal["first", "all", "multi"] = Field(
        "first",
        description="Label of an XD-Violence video with several codes. first: the first code's class. all: "
        "each combination is a class. multi: as first, and `labels` of the manifest has those of all codes.",
    )
    test_fraction: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="Share cut off by group as test, for `folder` without train and test directories only.",
    )
    val_fraction: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of train cut off by group as validation when the data set has none.",
    )
    split_seed: int = Field(0, ge=0, description="Seed of these cuts.")
    unlabelled: Literal["refuse", "keep"] = Field(
        "refuse",
        description="Training videos without a label (csv): refuse, or keep for students, which learn from "
        "their teacher alone; other methods refuse them.",
    )
    labelled: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of each class's training videos that is marked as labelled, for students with "
        "`labels: marked`; the demo has marks of its own.",
    )
    n_shards: int = Field(
        8,
        ge=1,
        le=10000,
        description="Files that each split is spread over; a job handles one. About 1,000 videos each.",
    )
    max_excluded: float = Field(
        0.01, ge=0, le=1, description="Largest share of videos that may be unreadable before the run stops."
    )
    max_missing: float = Field(
        0.01, ge=0, le=1, description="Largest share of listed videos whose file may be absent."
    )

    @property
    def own_label(self) -> str:
        """What the label of the videos is called in tables."""
        return self.label if self.adapter in WITH_LABELS else "class"


class GeneratedSettings(Section):
    """What procedural videos have in common, whatever they are for."""

    seed: int = Field(
        0, ge=0, description="Seed of the generator; a video depends on it, its split and index only."
    )
    train: int = Field(1920, ge=1, description="Training videos.")
    val: int = Field(360, ge=1, description="Validation videos.")
    frames: int = Field(64, ge=8, description="Frames of a video.")
    size: int = Field(56, ge=32, multiple_of=2, description="Height and width of a video in pixels.")
    fps: int = Field(16, ge=1, description="Frames per second.")
    crf: int = Field(18, ge=0, le=51, description="H.264 quality: lower is better and larger.")


class DemoSettings(GeneratedSettings):
    """The procedural videos of the demo (../shared/tfd_demo.md); used with `data.adapter: demo` only."""

    domain: Literal["target", "source"] = Field(
        "target",
        description="target: the demo's own data set. source: a larger one in another style, "
        "for pre-training.",
    )
    test: int = Field(600, ge=1, description="Test videos.")
    low_label: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Share of the training videos marked as the labelled ones of the low-label task.",
    )


class FrameSettings(Section):
    """The frame store: the frames decoded once from each video, from which every clip is sampled."""

    per_video: int = Field(
        32,
        ge=1,
        le=4096,
        description="Uniformly spaced frames kept of each video; clips are sampled from these.",
    )
    short_side: int = Field(256, ge=16, description="Short side in pixels after resizing; never enlarged.")
    encoding: Literal["raw", "jpeg", "none"] = Field(
        "jpeg",
        description="raw: exact uint8. jpeg: about a tenth of the space; at quality 95 a value is off by 1 "
        "or 2 of 255 on average. none: no pixels; every clip is decoded from its video when it is needed, "
        "which must stay where it is.",
    )
    jpeg_quality: int = Field(95, ge=1, le=100, description="JPEG quality, when encoding is jpeg.")
    decoder: Literal["pyav", "torchcodec"] = Field(
        "pyav",
        description="torchcodec: an optional package, for NVDEC where there is CUDA; the same frames, and "
        "videos for which that is not certain are left to PyAV. Colours of NVDEC differ a little.",
    )
    min_frames: int = Field(
        1,
        ge=1,
        description="A video with fewer decodable frames is excluded as too_short; one with at least these "
        "but fewer than per_video is padded: frames repeat, and the store says so.",
    )
