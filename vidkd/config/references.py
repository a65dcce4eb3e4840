"""Published results, and how each was measured: `config/references.yaml`.

It is no part of the settings of a run: ours are set beside it afterwards (`vidkd.report.references`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from vidkd.config.backbones import Kind
from vidkd.config.base import Section
from vidkd.config.load import read_yaml
from vidkd.config.problems import Problem, Problems, dotted, nearest, problems, sentence
from vidkd.errors import UserError

_Sampling = Literal["uniform", "dense"]

_DataSet = Literal["ssv1", "ssv2", "kinetics400", "ucf101", "hmdb51", "diving48"]

ADAPTERS = {
    ("ssv2", 174): "ssv2",
    ("kinetics", 400): "kinetics400",
    ("ucf101", 101): "ucf101",
    ("hmdb51", 51): "hmdb51",
}
"""Data sets by adapter and number of classes, which tells Kinetics-400 from 600 and all from a part."""

FRAMES = "{frames}"
"""Stands in the name of a column for the number of frames."""

Model = TypeVar("Model", bound=Section)


class Protocol(Section):
    """How a result was measured; null: its source does not say."""

    network: str | None = Field(default=None, description="The network, such as TSM-ResNet50 or ViT-B.")
    frames: int | None = Field(default=None, ge=1, description="Frames of a clip.")
    clips: int | None = Field(
        default=None, ge=1, description="Clips of a video, over which scores are averaged."
    )
    crops: int | None = Field(default=None, ge=1, description="Crops of a clip, likewise.")
    size: int | None = Field(default=None, ge=1, description="Height and width of a crop in pixels.")
    split: str | None = Field(default=None, description="What it is reported on, such as `validation split`.")
    sampling: _Sampling | None = Field(
        default=None, description="Frames over the whole video, or a part at a fixed step."
    )
    training: str | None = Field(default=None, description="How it was trained, such as `at 16 frames`.")
    pretraining: str | None = Field(
        default=None, description="Where its weights come from, such as ImageNet."
    )
    selection: Literal["reported split", "validation split"] | None = Field(
        default=None, description="What chose its epoch: the split that it is reported on, or another."
    )


class Source(Section):
    """Where a result was published."""

    title: str = Field(description="Of the paper, or the page.")
    year: int = Field(ge=1990, description="When it was published.")
    url: str = Field(description="Where it can be read.")
    where: str | None = Field(default=None, description="In which of its tables or files.")


class Place(Section):
    """A row or several, and a column, of our tables."""

    table: Literal["tfd", "probes", "trimodel", "student"] = Field(description="The table.")
    variants: tuple[str, ...] = Field(
        default=(), description="Rows, by their variant: of every table but probes."
    )
    backbone_kind: Kind | None = Field(default=None, description="Rows of probes: the kind of the backbone.")
    head: str | None = Field(default=None, description="Rows of probes: the head.")
    column: str = Field(
        default="top1", description="The column; {frames} in it stands for the number of frames."
    )

    @model_validator(mode="after")
    def _has_rows(self) -> Place:
        if self.table == "probes" and not (self.backbone_kind and self.head):
            raise ValueError("rows of probes are named by backbone_kind and head: set both")
        if self.table != "probes" and not self.variants:
            raise ValueError(f"rows of {self.table} are named by variants: name one or more")
        return self


class Reference(Section):
    """One published result; its protocol has its network and its frames."""

    data_set: _DataSet
    method: str
    network: str
    value: float = Field(description="Top-1 in percent.")
    protocol: Protocol
    source: Source
    ours: Place


class Result(Section):
    """An entry of the file: one result, or one for each number of frames."""

    data_set: _DataSet = Field(description="The data set.")
    method: str = Field(description="What is called by that name there.")
    network: str = Field(description="The network.")
    top1: float | dict[int, float] = Field(description="In percent; by frames where there are several.")
    protocol: Protocol = Field(description="How it was measured.")
    source: str = Field(description="A name of `sources`.")
    ours: Place = Field(description="What of ours stands beside it.")

    @field_validator("top1")
    @classmethod
    def _percent(cls, top1: float | dict[int, float]) -> float | dict[int, float]:
        values = top1.values() if isinstance(top1, dict) else [top1]
        if wrong := [value for value in values if not 1 < value <= 100]:
            raise ValueError(f"found {wrong[0]:g}; allowed: percent, above 1 and at most 100")
        return top1

    @model_validator(mode="after")
    def _frames_once(self) -> Result:
        found: list[Problem] = []
        several = isinstance(self.top1, dict)
        if several and self.protocol.frames is not None:
            found.append((("protocol", "frames"), "top1 is by frames: leave it out"))
        if several != (FRAMES in self.ours.column):
            text = (
                f"put {FRAMES} into it, for top1 is by frames" if several else f"{FRAMES} stands for nothing"
            )
            found.append((("ours", "column"), text))
        if self.protocol.network is not None:
            found.append((("protocol", "network"), "network says it: leave it out"))
        if found:
            raise Problems(found)
        return self

    def references(self, source: Source) -> list[Reference]:
        """One for each number of frames."""
        if not isinstance(self.top1, dict):
            return [self._reference(source, self.top1, self.protocol.frames, self.ours.column)]
        return [
            self._reference(source, value, frames, self.ours.column.replace(FRAMES, str(frames)))
            for frames, value in self.top1.items()
        ]

    def _reference(self, source: Source, value: float, frames: int | None, column: str) -> Reference:
        return Reference(
            data_set=self.data_set,
            method=self.method,
            network=self.network,
            value=value,
            protocol=self.protocol.model_copy(update={"network": self.network, "frames": frames}),
            source=source,
            ours=self.ours.model_copy(update={"column": column}),
        )


def load_references(path: str | Path) -> tuple[Reference, ...]:
    """The published results of a file, in its order.

    Raises:
        UserError: the file cannot be read, or an entry is wrong; the message has a line for each problem.
    """
    values = _parts(path)
    lines: list[str] = []
    sources = {
        str(name): _checked(Source, source, f"sources.{name}", lines)
        for name, source in values["sources"].items()
    }
    found: list[Reference] = []
    for number, entry in enumerate(values["results"], 1):
        place = f"result {number}{_named(entry)}"
        result = _checked(Result, entry, place, lines)
        if result is None:
            continue
        if result.source not in sources:
            lines.append(
                f"{place}: source: no source is named {result.source}; "
                + nearest(result.source, list(sources))
            )
        elif (source := sources[result.source]) is not None:
            found += result.references(source)
    if lines:
        raise UserError("\n".join([f"wrong entries in {path}:", *(f"  {line}" for line in lines)]))
    return tuple(found)


def _parts(path: str | Path) -> dict[str, Any]:
    """The sources and results of a file, as they are written there."""
    values = read_yaml(path)
    if set(values) != {"sources", "results"}:
        raise UserError(f"{path}: found the keys {', '.join(values) or 'none'}; allowed: sources and results")
    if not isinstance(values["sources"], dict) or not isinstance(values["results"], list):
        raise UserError(f"{path}: sources is a mapping by name and results a list: correct them")
    return values


def data_set_of(adapter: str, classes: int) -> str | None:
    """The name under which results on videos are published, by adapter and number of classes, or None."""
    return ADAPTERS.get((adapter, classes))


def _checked(model: type[Model], values: Any, place: str, lines: list[str]) -> Model | None:
    """`values` as `model`; where they are wrong, None, and a line for each problem in `lines`."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        absent = [dotted(item["loc"]) for item in error.errors() if item["type"] == "missing"]
        wrong = [] if absent else [sentence(problem) for problem in problems(model, error)]
        lines += [f"{place}: {text}" for text in [*(f"{name} is missing" for name in absent), *wrong]]
        return None


def _named(entry: Any) -> str:
    """What tells an entry from the others, as far as it says."""
    if not isinstance(entry, dict):
        return ""
    words = [str(entry[key]) for key in ("method", "data_set") if key in entry]
    return f" ({' on '.join(words)})" if words else ""
