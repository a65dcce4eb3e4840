"""What every small network has in common before it is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from torch import nn

from vidkd.backbones.protocol import Backbone, BackboneSpec, Origin, meaning
from vidkd.config.checkpoints import CheckpointSettings

MEAN = (0.447, 0.447, 0.447)
"""Of the pixels of every network that is made here, 0 to 1."""

STD = (0.235, 0.235, 0.235)

SPREAD = 0.12
"""Standard deviation of new weights, whatever `width` is: about one over the square root of 64, and meant for
widths near it. With the libraries' 0.02, for widths near 1000, nothing is learnt for hundreds of steps."""

NOWHERE = Origin("a new network", Path(), "", "", ())


class Trainable(NamedTuple):
    """A network with random weights.

    Attributes:
        backbone: how its features are computed, as when its checkpoint is loaded.
        save: writes the network, as it is then, into a folder, as its library does.
        norm: of the mean feature, before any classifier; saved with the network where it has one.
    """

    backbone: Backbone
    save: Callable[[Path], None]
    norm: nn.Module = nn.Identity()


def new_spec(settings: CheckpointSettings, width: int, crop: float) -> BackboneSpec:
    """What the network takes, and gives in `width` features.

    Args:
        settings: of the network.
        width: D.
        crop: share of the short side that the square has, once the checkpoint is loaded.
    """
    return BackboneSpec(
        kind=settings.kind, frames=settings.frames, size=settings.size, crop=crop, mean=MEAN,
        std=STD, width=width, steps=settings.steps, step_meaning=meaning(settings.frames // settings.steps),
    )  # fmt: skip
