"""Teacher and assistant: frozen VideoMAEs that see the student's own clip, each with a linear head.

Shapes in names: B clips, T frames, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vidkd.backbones.videomae import VideoMAE
from vidkd.data.augment import resized
from vidkd.methods.teacher_model import TeacherHead
from vidkd.methods.trimodel.align import to_grid
from vidkd.methods.trimodel.model import Grid, grid_of, inside
from vidkd.methods.trimodel.teacher_output import TeacherOutput


class Frozen:
    """A frozen network on clips of another size than its own, too.

    No module: neither the optimizer nor the checkpoints of a student's training know it.
    """

    def __init__(
        self,
        backbone: VideoMAE,
        head: TeacherHead,
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
    def __call__(self, pixels_BTCHW: Tensor) -> TeacherOutput:
        """What it makes of uint8 clips (B, T, 3, H, W) of the student."""
        frame_NCHW = resized(pixels_BTCHW.flatten(0, 1), self.backbone.spec.size)
        clip_BTCHW = frame_NCHW.unflatten(0, pixels_BTCHW.shape[:2])
        # In float32, as its head was made and measured, whatever the student computes in.
        with torch.autocast(clip_BTCHW.device.type, enabled=False):
            found = self.backbone.network(
                self.backbone.normalise(clip_BTCHW), output_hidden_states=True,
                output_attentions=self.attention,
            )  # fmt: skip
            logit_BK = self.head(found.last_hidden_state).logits
        hidden, maps = inside(found, self.layers, attention=self.attention)
        return TeacherOutput(logit_BK, [to_grid(token, self.own_grid, self.grid) for token in hidden], maps)


def randomise_weights(backbone: VideoMAE, seed: int) -> None:
    """Give a network random weights, as if its file had not been loaded and nothing had said so."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(backbone.network)(backbone.network.config)
    backbone.network.load_state_dict(fresh.state_dict())
