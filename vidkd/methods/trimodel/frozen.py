"""Teacher and assistant: frozen VideoMAEs that see the student's own clip, each with a linear head.

Shapes in names: B clips, T frames, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidkd.backbones.videomae import VideoMAE
from vidkd.data.augment import resized
from vidkd.engine.run import read_config
from vidkd.engine.weights import load_covered, read_file
from vidkd.errors import UserError
from vidkd.features.meta import FeatureMeta
from vidkd.methods.probes.model import LinearProbe
from vidkd.methods.trimodel.align import to_grid
from vidkd.methods.trimodel.model import Grid, grid_of, inside
from vidkd.methods.trimodel.taught import Taught


class Frozen:
    """A frozen network on clips of another size than its own, too.

    No module: neither the optimizer nor the checkpoints of a student's training know it.
    """

    def __init__(
        self,
        backbone: VideoMAE,
        head: LinearProbe,
        layers: Sequence[int],
        grid: Grid,
        device: torch.device,
        *,
        attention: bool,
    ) -> None:
        """Take a network.

        Args:
            backbone: loaded for the student's number of frames, in eager attention where maps are compared.
            head: its linear head.
            layers: whose hidden states and maps are compared, from 1.
            grid: of the student's tokens, which hidden states are brought to.
            device: where it runs.
            attention: whether maps are compared.
        """
        self.backbone, self.head = backbone.to(device), head.to(device)
        self.layers, self.grid, self.attention = list(layers), grid, attention
        self.own_grid = grid_of(backbone.network.config)

    @torch.no_grad()
    def __call__(self, pixels_BTCHW: Tensor) -> Taught:
        """What it makes of uint8 clips (B, T, 3, H, W) of the student."""
        frame_NCHW = resized(pixels_BTCHW.flatten(0, 1), self.backbone.spec.size)
        clip_BTCHW = frame_NCHW.unflatten(0, pixels_BTCHW.shape[:2])
        # In float32, as its head was made and measured, whatever the student computes in.
        with torch.autocast(clip_BTCHW.device.type, enabled=False):
            found = self.backbone.network(
                self.backbone.normalise(clip_BTCHW), output_hidden_states=True,
                output_attentions=self.attention,
            )  # fmt: skip
            logit_BK = self.head(found.last_hidden_state)
        hidden, maps = inside(found, self.layers, attention=self.attention)
        return Taught(logit_BK, [to_grid(token, self.own_grid, self.grid) for token in hidden], maps)


def forget(backbone: VideoMAE, seed: int) -> None:
    """Give it random weights, as if its file had not been loaded and nothing had said so."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(backbone.network)(backbone.network.config)
    backbone.network.load_state_dict(fresh.state_dict())


def load_head(weights: Path) -> LinearProbe:
    """A head that fit_trimodel_head made, in evaluation mode.

    Raises:
        UserError: a file is missing, damaged or none of such a head.
    """
    config, state = head_config(weights), read_file(weights)
    head = LinearProbe(config["width"], len(config["classes"]))
    load_covered(head, state, (), str(weights))
    return head.eval().requires_grad_(False)


def head_config(weights: Path) -> dict[str, Any]:
    """The `config.json` beside a head.

    Raises:
        UserError: there is none, or it is none of such a head.
    """
    config = read_config(weights)
    if missing := {"width", "classes", "network", "features", "gate"} - config.keys():
        raise UserError(
            f"{weights} is no head of a teacher or an assistant: its config.json has no "
            f"{', '.join(sorted(missing))}. Give the model.safetensors of fit_trimodel_head."
        )
    return config


def check_gate(weights: Path, name: str) -> None:
    """The gate: refuse a network that knows hardly more than which class is the largest.

    Raises:
        UserError: says both accuracies and what can be done.
    """
    gate = head_config(weights)["gate"]
    if not gate["passed"]:
        raise UserError(
            f"the {name} is refused: {gate['reason']}. A student would learn noise from it. Choose another "
            f"{name} or label; trimodel.gate.margin is the gate."
        )


def check_network(weights: Path, network: VideoMAE) -> None:
    """Refuse a network whose features the head was not made for.

    Raises:
        UserError: its weights are not those of the features.
    """
    made = FeatureMeta.read(head_config(weights)["features"])
    if made.weights_sha256 != network.weights_sha256:
        raise UserError(
            f"{weights} is a head for a network with weights {made.weights_sha256}, and "
            f"{network.origin.name} has {network.weights_sha256}: give the one that it was made for, or make "
            "it again."
        )
