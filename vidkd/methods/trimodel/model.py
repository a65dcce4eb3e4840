"""The networks of tri-model distillation: VideoMAE of transformers, with what happens inside of it.

Shapes in names: B clips, T frames, C channels, H height, W width, N tokens of a clip of width D, K classes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which transformers imports

# isort: split

import torch
from torch import Tensor, nn
from transformers import VideoMAEConfig, VideoMAEForVideoClassification, VideoMAEImageProcessor
from transformers.utils import logging as library_logging

from vidkd.backbones.registry import load_backbone
from vidkd.backbones.videomae import VideoMAE
from vidkd.config.backbones import BackboneSettings
from vidkd.data.augment import Normalise
from vidkd.errors import UserError
from vidkd.files import atomic_folder
from vidkd.methods.trimodel.settings import TriModelSettings

Grid = tuple[int, int, int]
"""Tokens of a clip along time, height and width."""


class Inside(NamedTuple):
    """What a network makes of clips: the student, the teacher or the assistant.

    Attributes:
        logits: (B, K).
        hidden: of each layer that was asked for, its tokens (B, N, D) as it leaves them.
        attention: of each of these layers, the mean over heads of its maps (B, N, N), each row of which sums
            to 1; empty where they were not asked for.
    """

    logits: Tensor
    hidden: list[Tensor]
    attention: list[Tensor]


class Student(nn.Module):
    """VideoMAE with a classifier on the mean of its tokens, from uint8 pixels on.

    Attributes:
        network: of transformers; saved by `save`, its library loads it and gives the same logits.
        size: height and width of a clip in pixels.
    """

    def __init__(
        self, network: VideoMAEForVideoClassification, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.network = network
        self.normalise = Normalise(mean, std)
        self.mean, self.std = tuple(mean), tuple(std)
        self.size: int = network.config.image_size

    def forward(self, pixels_BTCHW: Tensor) -> Tensor:
        """Logits (B, K) of uint8 clips (B, T, 3, H, W)."""
        logit_BK: Tensor = self.network(self.normalise(pixels_BTCHW)).logits
        return logit_BK

    def look_inside(self, pixels_BTCHW: Tensor, layers: Sequence[int], *, attention: bool) -> Inside:
        """The same, and what `layers` (from 1) make of it."""
        found = self.network(
            self.normalise(pixels_BTCHW), output_hidden_states=True, output_attentions=attention
        )
        return Inside(found.logits, *inside(found, layers, attention=attention))

    def described(self) -> dict[str, Any]:
        """What `config.json` of a run says of it."""
        return {"network": self.network.config.to_dict(), "mean": list(self.mean), "std": list(self.std)}


def inside(found: Any, layers: Sequence[int], *, attention: bool) -> tuple[list[Tensor], list[Tensor]]:
    """Hidden states and mean attention of `layers` (from 1) in what a network of transformers returned."""
    hidden = [found.hidden_states[layer] for layer in layers]
    maps = [found.attentions[layer - 1].float().mean(1) for layer in layers] if attention else []
    return hidden, maps


def grid_of(config: Any) -> Grid:
    """Tokens of a clip along time, height and width, by the configuration of its network."""
    side = config.image_size // config.patch_size
    return config.num_frames // config.tubelet_size, side, side


def new_student(settings: TriModelSettings, n_classes: int) -> Student:
    """One of the settings' size, with random weights."""
    config = VideoMAEConfig(
        image_size=settings.size, patch_size=settings.patch, num_frames=settings.frames,
        tubelet_size=settings.tubelet, hidden_size=settings.width, num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads, intermediate_size=round(settings.mlp_ratio * settings.width),
        initializer_range=settings.initial_std, use_mean_pooling=True, num_labels=n_classes,
        attn_implementation=_attention_of(settings),
    )  # fmt: skip
    return Student(VideoMAEForVideoClassification(config), settings.mean, settings.std)


def pretrained_student(settings: TriModelSettings, start: BackboneSettings, n_classes: int) -> Student:
    """One that starts from a checkpoint: its encoder, and a new classifier on the mean of its tokens.

    Where the checkpoint has a norm after its last layer, that becomes the norm of the mean.

    Raises:
        UserError: see `load_backbone`, or a size is asked for that is not the checkpoint's.
    """
    loaded = load_videomae(start, settings.frames, eager=settings.attention_distillation_weight > 0)
    if settings.size not in (0, loaded.spec.size):
        raise UserError(
            f"size {settings.size}: {loaded.origin.name} takes {loaded.spec.size} pixels; set size: 0"
        )
    config = VideoMAEConfig(**{**loaded.network.config.to_dict(), "num_labels": n_classes})
    config.use_mean_pooling, config._attn_implementation = True, _attention_of(settings)
    network = VideoMAEForVideoClassification(config)
    state = dict(loaded.network.state_dict())
    norm = {name: state.pop(f"layernorm.{name}", None) for name in ("weight", "bias")}
    network.videomae.load_state_dict(state)
    if norm["weight"] is not None:
        cast(nn.LayerNorm, network.fc_norm).load_state_dict(norm)
    return Student(network, loaded.spec.mean, loaded.spec.std)


def load_videomae(settings: BackboneSettings, frames: int, *, eager: bool) -> VideoMAE:
    """A frozen VideoMAE for clips of `frames` frames; `eager` attention returns its maps, sdpa has none.

    Raises:
        UserError: see `load_backbone`; the frames do not divide into its tubelets.
    """
    if settings.kind != "videomae":
        raise UserError(
            f"{settings.kind} is no network of tri-model distillation: name one of the kind videomae"
        )
    changes = {"frames": frames, "attention": "eager" if eager else settings.attention}
    return cast(VideoMAE, load_backbone(settings.model_copy(update=changes)))


def _attention_of(settings: TriModelSettings) -> str:
    """The implementation of attention: sdpa returns no maps."""
    return "eager" if settings.distils and settings.attention_distillation_weight else "sdpa"


def student_of(described: dict[str, Any], n_classes: int) -> Student:
    """The untrained student that `Student.described` describes."""
    config = VideoMAEConfig(**{**described["network"], "num_labels": n_classes})
    config._attn_implementation = None  # a name such as owner/name would fetch code from the hub
    return Student(VideoMAEForVideoClassification(config), described["mean"], described["std"])


def save(student: Student, classes: Sequence[str], crop: float, folder: Path) -> None:
    """Write it as transformers does: `from_pretrained` of the folder gives the same logits.

    Args:
        student: trained.
        classes: names, by label id.
        crop: side of the centre square, as a share of the short side, for the preprocessing.
        folder: is replaced whole.
    """
    library_logging.disable_progress_bar()
    network = student.network
    network.config.id2label = dict(enumerate(classes))
    network.config.label2id = {name: number for number, name in enumerate(classes)}
    processor = image_processor(student, crop)
    with atomic_folder(folder) as temporary:
        network.save_pretrained(temporary)
        processor.save_pretrained(temporary)
        written = json.loads((temporary / "config.json").read_text(encoding="utf-8"))
        # Of how it was trained, not of what it is: the library computes the same with its own choice.
        written.pop("_attn_implementation", None)
        (temporary / "config.json").write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")


def image_processor(student: Student, crop: float) -> VideoMAEImageProcessor:
    """The student's preprocessing as transformers has it; see `save`."""
    return VideoMAEImageProcessor(
        size={"shortest_edge": round(student.size / crop)},
        crop_size={"height": student.size, "width": student.size},
        image_mean=list(student.mean), image_std=list(student.std),
    )  # fmt: skip


def use_drop_path(student: Student, chance: float) -> None:
    """Let clips skip the residual branches of layers in training (Huang et al. 2016), more the deeper.

    The chance rises linearly from 0 at the first layer to `chance` at the last; what is kept is scaled up.
    """
    layers: Any = student.network.videomae.encoder.layer
    for number, layer in enumerate(layers):
        share = chance * number / max(1, len(layers) - 1)
        if share:
            for branch in (layer.attention.output.dense, layer.output.dense):
                branch.register_forward_hook(_dropper(share))


def _dropper(chance: float) -> Any:
    def drop(module: nn.Module, _inputs: Any, out_BND: Tensor) -> Tensor:
        if not module.training:
            return out_BND
        kept_B11 = (torch.rand(len(out_BND), 1, 1, device=out_BND.device) >= chance).to(out_BND.dtype)
        return out_BND * kept_B11 / (1 - chance)

    return drop
