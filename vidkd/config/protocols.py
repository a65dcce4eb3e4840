"""How our own results are measured, as far as the settings say it: what published ones are compared with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from vidkd.config.backbones import FRAMES, BackboneSettings, Kind
from vidkd.config.checkpoints import PER_FRAME, CheckpointSettings
from vidkd.config.references import Protocol, Sampling
from vidkd.config.settings import Settings
from vidkd.errors import UserError
from vidkd.methods.ffn.settings import FFNSettings
from vidkd.methods.student.settings import StudentSettings
from vidkd.methods.trimodel.settings import ASSISTANT, TEACHER, TriModelSettings

SPLITS = {"ssv2": "validation split", "kinetics": "validation split"}
"""What the test split of an adapter is, where it is an official one that has another name."""

NUMBERED = ("ucf101", "hmdb51")
"""Adapters with several official splits."""

HEADS = {"linear": "linear probe", "attentive": "attentive probe of 1 block"}

SIZES = {"small": "S", "base": "B", "large": "L", "huge": "H", "giant": "g"}

VITS = {(384, 12, 6): "ViT-S", (768, 12, 12): "ViT-B", (1024, 24, 16): "ViT-L"}
"""New networks by width, layers and heads."""

RANDOM = "random weights"

SEPARATE = "st"
"""The row of the table over frame counts that is made of several variants."""


class OurProtocol(Protocol):
    """How one row of our tables is measured; null: the settings do not say."""

    kind: Kind | None = Field(default=None, description="Kind of the backbone.")


Protocols = dict[str, dict[str, OurProtocol]]
"""By table and row: the variant, of probes `backbone.head`."""

_ADAPTER = TypeAdapter(Protocols)


def our_protocols(settings: Settings) -> Protocols:
    """The protocol of every row that published results may stand beside."""
    return {
        "tfd": _ffn(settings),
        "probes": _probes(settings),
        "trimodel": _trimodel(settings),
        "student": _student(settings),
    }


def protocols_text(protocols: Protocols) -> str:
    """Protocols as JSON, for a command line."""
    return _ADAPTER.dump_json(protocols, exclude_none=True).decode()


def read_protocols(text: str) -> Protocols:
    """The protocols of `protocols_text`.

    Raises:
        UserError: it is something else.
    """
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise UserError(
            f"--protocols: not what vidkd.config.protocols writes: {error.errors()[0]['msg']}"
        ) from None


def _ffn(settings: Settings) -> dict[str, OurProtocol]:
    experiment = settings.ffn
    variants = {name: experiment.variant(name) for name in experiment.variants}
    found = {name: _ffn_variant(settings, variant) for name, variant in variants.items()}
    joined = dict(experiment.ensembles)
    if experiment.variants and experiment.tfd.separate:
        joined[SEPARATE] = tuple(experiment.tfd.separate.values())
    for name, parts in joined.items():
        shared = _shared([found[part] for part in parts])
        if all(len(variants[part].frame_counts) == 1 for part in parts):
            shared = shared.model_copy(update={"training": "at each number of frames alone"})
        found[name] = shared
    return found


def _ffn_variant(settings: Settings, variant: FFNSettings) -> OurProtocol:
    network = variant.arch.replace("resnet", "ResNet")
    return OurProtocol(
        network=f"{'TSN' if variant.shift == 'none' else 'TSM'}-{network}",
        clips=1,
        crops=1,
        size=variant.size,
        split=_split(settings),
        sampling=_sampling(variant.eval_frame_sampling),
        training=_at_frames(settings, variant),
        pretraining=_pretraining(variant),
        selection="validation split",
    )


def _at_frames(settings: Settings, variant: FFNSettings) -> str:
    """The frame counts it is trained at, those of what it starts from first."""
    *most, last = map(str, variant.frame_counts)
    words = f"at {', '.join(most)}{' and ' if most else ''}{last} frames"
    if variant.init_from is None:
        return words
    return f"{_at_frames(settings, settings.ffn.variant(variant.init_from))}, then {words}"


def _pretraining(variant: FFNSettings) -> str | None:
    if variant.weights is None and variant.init_from is None:
        return RANDOM
    return "ImageNet" if "IMAGENET1K" in (variant.weights or "") else None


def _shared(protocols: Sequence[OurProtocol]) -> OurProtocol:
    """What several protocols have in common."""
    first, *others = (protocol.model_dump() for protocol in protocols)
    return OurProtocol(**{k: v for k, v in first.items() if all(other[k] == v for other in others)})


def _probes(settings: Settings) -> dict[str, OurProtocol]:
    return {
        f"{name}.{head}": _frozen(settings, name, HEADS[head])
        for name in settings.backbones
        for head in settings.probes.heads
    }


def _trimodel(settings: Settings) -> dict[str, OurProtocol]:
    experiment = settings.trimodel
    if experiment.teacher is None or experiment.assistant is None:
        return {}
    found = {name: _trimodel_variant(settings, experiment.variant(name)) for name in experiment.variants}
    head = f"linear head on frozen features{_labels(experiment.labels)}"
    frozen = {TEACHER: experiment.teacher, ASSISTANT: experiment.assistant}
    return found | {role: _frozen(settings, name, head) for role, name in frozen.items()}


def _trimodel_variant(settings: Settings, variant: TriModelSettings) -> OurProtocol:
    network = VITS.get((variant.width, variant.layers, variant.heads))
    start = _start(settings, variant, {"network": network, "size": variant.size})
    words = "distilled" if variant.sources else "fine-tuned"
    labels = "" if variant.all_labels else _labels(settings.trimodel.labels)
    return _one_clip(settings, variant, f"{words}{labels}", start)


def _student(settings: Settings) -> dict[str, OurProtocol]:
    experiment = settings.student
    if experiment.teacher.backbone is None:
        return {}
    return {name: _student_variant(settings, experiment.variant(name)) for name in experiment.variants}


def _student_variant(settings: Settings, variant: StudentSettings) -> OurProtocol:
    start = _start(settings, variant, {"network": variant.arch, "size": variant.size or None})
    words = "distilled" if variant.taught else "with labels alone"
    labels = "" if variant.all_labels else _labels(settings.student.labels)
    return _one_clip(settings, variant, f"{words}{labels}", start)


def _start(
    settings: Settings, variant: TriModelSettings | StudentSettings, new: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The network of a student, its size and its weights: those of a backbone, or `new` ones."""
    if variant.backbone is None:
        return {"pretraining": RANDOM, **new}
    used = settings.backbones[variant.backbone]
    return {"network": _network(used), "size": variant.size or _size(settings, used)}


def _one_clip(
    settings: Settings,
    variant: TriModelSettings | StudentSettings,
    training: str,
    start: Mapping[str, Any],
) -> OurProtocol:
    """The protocol of a student: one clip and one crop, the epoch by validation."""
    return OurProtocol(
        frames=variant.frames,
        clips=1,
        crops=1,
        split=_split(settings),
        sampling=_sampling(variant.eval_frame_sampling),
        training=training,
        selection="validation split",
        **start,
    )


def _frozen(settings: Settings, name: str, training: str) -> OurProtocol:
    """The protocol of a head on the cached features of a backbone."""
    used = settings.backbones[name]
    made = _made(settings, used)
    return OurProtocol(
        kind=used.kind,
        network=_network(used),
        frames=used.frames or (FRAMES if used.kind in PER_FRAME else made.frames if made else None),
        clips=used.views,
        crops=used.crops,
        size=_size(settings, used),
        split=_split(settings),
        sampling="uniform",
        training=training,
        selection="validation split",
    )


def _network(used: BackboneSettings) -> str | None:
    """The size of a transformer of the hub, which its name says; of an image encoder of timm its name."""
    name = (used.hub or "").rpartition("/")[2]
    if used.kind == "timm":
        return name.partition(".")[0] or None
    if found := re.search(r"vit([slhg])(?![a-z])", name):
        return f"ViT-{found[1].upper() if found[1] in 'slh' else found[1]}"
    if used.kind == "videomae" and (found := re.search("small|base|large|huge|giant", name)):
        return f"ViT-{SIZES[found[0]]}"
    return None


def _size(settings: Settings, used: BackboneSettings) -> int | None:
    """Pixels, as far as known here: a setting of networks made here; V-JEPA 2 has them in its name."""
    if made := _made(settings, used):
        return made.size
    found = re.search(r"-fpc\d+-(\d+)", used.hub or "")
    return int(found[1]) if found else None


def _made(settings: Settings, used: BackboneSettings) -> CheckpointSettings | None:
    return settings.checkpoints.get(used.checkpoint or "")


def _split(settings: Settings) -> str | None:
    data = settings.data
    return f"split {data.official_split}" if data.adapter in NUMBERED else SPLITS.get(data.adapter)


def _sampling(name: str) -> Sampling:
    return "dense" if name == "dense" else "uniform"


def _labels(labels: str) -> str:
    return ", with part of the labels" if labels == "marked" else ""
