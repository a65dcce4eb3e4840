"""Settings of the frozen networks whose features are cached."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from vidkd.config.base import Section
from vidkd.config.problems import Problem, Problems

Kind = Literal["clip", "timm", "videomae", "timesformer", "vivit", "vjepa2"]
Tokens = Literal["full", "time", "clip"]

FRAMES = 8
"""Frames of a clip of image encoders, which have no number of their own, when the settings name none."""

FIXED = ("timesformer", "vivit")
"""Kinds with learned positions in time, which take no other number of frames than they were trained on."""

_WITHOUT_CHOICE = {
    "clip": "open_clip chooses its attention itself",
    "timm": "timm chooses its attention itself",
    "timesformer": "transformers has one form of it for TimeSformer",
}
"""Kinds whose library has one attention only, and why `attention` must be left out."""


class BackboneSettings(Section):
    """A frozen network: its kind, where its weights are, and which of its features are kept."""

    kind: Kind = Field(
        "clip",
        description="clip: any open_clip model, frame by frame. timm: any timm image encoder, frame by "
        "frame. videomae (also the original VideoMAE and AMD checkpoints), timesformer, vivit, vjepa2: "
        "those of transformers.",
    )
    hub: str | None = Field(
        None, description="Source: a repository of the Hugging Face hub, owner/name, with `revision`."
    )
    revision: str | None = Field(
        None, description="Commit of `hub`: 40 hexadecimal digits. A branch is refused, for it moves."
    )
    folder: str | None = Field(
        None, description="Source: a folder in the library's own format, as the hub has it."
    )
    file: str | None = Field(
        None,
        description="Source: a weights file, with `sha256`; the library's config files lie beside it. An "
        "original VideoMAE or AMD checkpoint needs none.",
    )
    checkpoint: str | None = Field(
        None,
        description="Source: a network of `checkpoints`, which this configuration trains itself; of the "
        "same kind.",
    )
    sha256: str | None = Field(
        None, description="SHA-256 of the weights: needed with `file`, checked wherever it is given."
    )
    url: str | None = Field(
        None,
        description="Address that `snakemake download_weights` fetches `file` from; original VideoMAE and "
        "AMD checkpoints only.",
    )
    drive: str | None = Field(
        None, description="In place of `url`: the id of a file on Google Drive, as AMD's page links it."
    )
    frames: int | None = Field(
        None,
        ge=1,
        description="Frames of a clip; null takes the network's own (clip and timm: 8). TimeSformer and "
        "ViViT take no other.",
    )
    views: int = Field(
        1,
        ge=1,
        description="Temporal views of a video: view v takes the middle of part v of each segment of the "
        "frames. frames x views must not exceed frames.per_video.",
    )
    crops: int = Field(
        1,
        ge=1,
        le=3,
        description="Squares of a view. 1: the middle. 3: along the long side, start, middle and end.",
    )
    tokens: Tokens = Field(
        "time",
        description="What is kept of a clip. full: every token. time: their mean at each time step. "
        "clip: their mean.",
    )
    fp16: bool = Field(False, description="Features are stored as float16: half the space, 11 bits of each.")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32",
        description="How the network computes. bf16: on a GPU only; autocast, about 8 bits of each value.",
    )
    cpu_threads: int = Field(
        1, ge=1, description="Threads on a CPU. A setting, because sums depend on it in the last bit."
    )
    attention: Literal["sdpa", "eager"] | None = Field(
        None,
        description="How transformers computes attention; null is sdpa. eager also returns the attention "
        "maps that attention distillation needs.",
    )

    @field_validator("hub")
    @classmethod
    def _owner_and_name(cls, hub: str | None) -> str | None:
        if hub is not None and not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", hub):
            raise ValueError(f"found {hub!r}; allowed: owner/name, such as MCG-NJU/videomae-base")
        return hub

    @field_validator("crops")
    @classmethod
    def _odd(cls, crops: int) -> int:
        if crops == 2:
            raise ValueError("found 2; allowed: 1 or 3")
        return crops

    @field_validator("revision")
    @classmethod
    def _commit(cls, revision: str | None) -> str | None:
        if revision is not None and not re.fullmatch("[0-9a-f]{40}", revision):
            raise ValueError(
                f"found {revision!r}; allowed: a commit of 40 hexadecimal digits. A branch or a tag can "
                "move to other weights: the page of the repository on the hub lists its commits"
            )
        return revision

    @field_validator("sha256")
    @classmethod
    def _sum(cls, sha256: str | None) -> str | None:
        if sha256 is not None and not re.fullmatch("[0-9a-f]{64}", sha256):
            raise ValueError(f"found {sha256!r}; allowed: 64 hexadecimal digits, as sha256sum prints them")
        return sha256

    @field_validator("url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(r"https?://[^\s/]+/\S+", url):
            raise ValueError(f"found {url!r}; allowed: an address of a file, https://… or http://…")
        return url

    @field_validator("drive")
    @classmethod
    def _file_id(cls, drive: str | None) -> str | None:
        if drive is not None and not re.fullmatch(r"[\w-]{10,}", drive):
            raise ValueError(
                f"found {drive!r}; allowed: the id alone, which is ID in https://drive.google.com/file/d/ID/view"
            )
        return drive

    @model_validator(mode="after")
    def _fits_together(self) -> BackboneSettings:
        found: list[Problem] = []
        places = ("hub", "folder", "file", "checkpoint")
        sources = [name for name in places if getattr(self, name) is not None]
        if len(sources) != 1:
            given = " and ".join(sources) or "none"
            found.append(((), f"found {given} as source; allowed: one of hub, folder, file and checkpoint"))
        if self.hub is not None and self.revision is None:
            text = "hub needs a commit, 40 hexadecimal digits, so that its weights stay the same"
            found.append((("revision",), text))
        if self.revision is not None and self.hub is None:
            text = f"is a commit of hub, which is not set: {'leave it out' if sources else 'set hub'}"
            found.append((("revision",), text))
        if self.file is not None and self.sha256 is None:
            found.append((("sha256",), f"file needs the sum of its content: sha256sum {self.file}"))
        found += self._wrong_addresses()
        if self.attention is not None and self.kind in _WITHOUT_CHOICE:
            found.append((("attention",), f"{_WITHOUT_CHOICE[self.kind]}: leave it out"))
        if found:
            raise Problems(found)
        return self

    def _wrong_addresses(self) -> list[Problem]:
        """Addresses that nothing can be made of."""
        given = [name for name in ("url", "drive") if getattr(self, name) is not None]
        if len(given) > 1:
            return [(("drive",), "url and drive both say where file is fetched from: leave one out")]
        if given and self.file is None:
            return [((*given,), "fetches file, which is not set: file says where it goes, sha256 what it is")]
        if given and self.kind != "videomae":
            text = (
                f"fetches one file, and {self.kind} needs its library's configuration beside it: use hub, or "
                "place the files and leave this out"
            )
            return [((*given,), text)]
        return []


class WeightsSettings(Section):
    """The weights to have on this machine before a run."""

    backbones: dict[str, BackboneSettings] = Field(
        default={}, description="Name of a frozen network and what it is."
    )
    starts: dict[str, str] = Field(
        default={},
        description="Name of a run (ffn.tsm) and the weights it starts from: a torchvision name or a file.",
    )
