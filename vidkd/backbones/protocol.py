"""What every backbone is: uint8 clips in, tokens by time step out, frozen.

Letters of shapes: B clips, T frames, T' time steps, S tokens of a time step, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vidkd.config.backbones import Tokens
from vidkd.data.augment import Normalise
from vidkd.errors import UserError


@dataclass(frozen=True)
class BackboneSpec:
    """What a backbone takes and gives.

    Attributes:
        kind: as in `BackboneSettings`.
        frames: T of a clip.
        size: height and width of a frame in pixels.
        crop: side of the square that the network sees, as a share of the frame's short side.
        mean: RGB mean of the input, 0 to 1.
        std: RGB standard deviation, 0 to 1.
        width: D.
        steps: T'.
        step_meaning: what a time step is, such as `2 frames`.
    """

    kind: str
    frames: int
    size: int
    crop: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    width: int
    steps: int
    step_meaning: str


class Origin(NamedTuple):
    """Where a backbone came from.

    Attributes:
        name: how messages call it.
        folder: of its configuration, and of its tokenizer if it has one.
        weights_sha256: sum of its weights.
        config_sha256: sum of the configuration that made the network and its preprocessing.
        files: that were read: its weights, then its configuration.
    """

    name: str
    folder: Path
    weights_sha256: str
    config_sha256: str
    files: tuple[Path, ...]


class Backbone(nn.Module):
    """A frozen network; each kind implements `encode`."""

    network: Any

    def __init__(self, spec: BackboneSpec, network: nn.Module, origin: Origin) -> None:
        super().__init__()
        self.spec = spec
        self.origin = origin
        self.weights_sha256 = origin.weights_sha256
        self.normalise = Normalise(spec.mean, spec.std)
        self.network = network
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Backbone:
        """Stay in evaluation mode, whatever the module that this is part of does."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, pixels_BTCHW: Tensor) -> Tensor:
        """Tokens (B, T', S, D) of uint8 clips (B, T, 3, size, size).

        Raises:
            ValueError: clips of another shape; shorter videos are padded in the frame store, never here.
        """
        wanted = (self.spec.frames, 3, self.spec.size, self.spec.size)
        if pixels_BTCHW.ndim != 5 or tuple(pixels_BTCHW.shape[1:]) != wanted:
            raise ValueError(
                f"{self.spec.kind} takes clips of {wanted} (frames, channels, height, width), "
                f"found {tuple(pixels_BTCHW.shape[1:])}"
            )
        return self.encode(self.normalise(pixels_BTCHW))

    def encode(self, clip_BTCHW: Tensor) -> Tensor:
        """Tokens (B, T', S, D) of normalised clips."""
        raise NotImplementedError

    def by_step(self, token_BND: Tensor) -> Tensor:
        """Tokens (B, T' x S, D), time slowest, by time step: (B, T', S, D)."""
        return token_BND.unflatten(1, (self.spec.steps, -1))


def pool(feature_BTSD: Tensor, tokens: Tokens) -> Tensor:
    """Make rows of a cache.

    Returns:
        All tokens (B, T' x S, D), means by time step (B, T', D), or one mean (B, 1, D).
    """
    if tokens == "full":
        return feature_BTSD.flatten(1, 2)
    feature_BTD = feature_BTSD.mean(2)
    return feature_BTD if tokens == "time" else feature_BTD.mean(1, keepdim=True)


def count_steps(frames: int, tubelet: int, name: str) -> int:
    """Count the time steps of `frames` frames in tubelets.

    Raises:
        UserError: the frames do not divide into tubelets.
    """
    if frames % tubelet:
        raise UserError(
            f"{name}: {frames} frames do not divide into tubelets of {tubelet}: set frames to a multiple "
            f"of {tubelet}"
        )
    return frames // tubelet


def meaning(frames: int) -> str:
    """Name a time step of `frames` frames."""
    return "1 frame" if frames == 1 else f"{frames} frames"
