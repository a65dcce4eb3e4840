"""Teacher and assistant: frozen VideoMAEs that see the student's own clip, each with a linear head.

Their layers are paired with the student's here, and their tokens are brought to the student's grid.

Shapes in names: B clips, T frames, C channels, H height, W width, N tokens of width D.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from vidkd.backbones.videomae import VideoMAE
from vidkd.data.augment import resized
from vidkd.errors import UserError
from vidkd.methods.teacher_model import TeacherHead
from vidkd.methods.trimodel.model import Grid, Inside, grid_of, inside

log = logging.getLogger(__name__)


class Frozen:
    """Runs a frozen network, on clips of another size than its own as well.

    It is no module: neither the optimizer nor the checkpoints of a student's training know it.
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
    def __call__(self, pixels_BTCHW: Tensor) -> Inside:
        """Run it on uint8 clips (B, T, 3, H, W) of the student; hidden states come in the student's grid."""
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
        return Inside(logit_BK, [to_grid(token, self.own_grid, self.grid) for token in hidden], maps)


def randomise_weights(backbone: VideoMAE, seed: int) -> None:
    """Give a network random weights, as if its file had not been loaded and nothing had said so."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(backbone.network)(backbone.network.config)
    backbone.network.load_state_dict(fresh.state_dict())


def student_layers(wanted: Sequence[int], depth: int) -> list[int]:
    """Number the layers that `hidden_layers_to_align` names, from 1, in a network with `depth` of them.

    Raises:
        UserError: there is no such layer.
    """
    return [_from_one(index, depth, "the student") for index in wanted]


def other_layers(wanted: Sequence[int], depth: int, other: int, pairing: str, name: str) -> list[int]:
    """Find the layer of another network, from 1, that each of these is compared with.

    Args:
        wanted: `hidden_layers_to_align`.
        depth: layers of the student.
        other: layers of the other network.
        pairing: `depth`: at the same share of its depth, so that last meets last and middle meets middle.
            `index`: of the same index, which for -3 of 4 and of 12 layers is one in the middle and one near
            the end.
        name: of the other network, for the message.

    Raises:
        UserError: it has no layer of the same index.
    """
    if pairing == "index":
        return [_from_one(index, other, f"the {name}") for index in wanted]
    return [max(1, round(layer * other / depth)) for layer in student_layers(wanted, depth)]


def to_grid(token_BND: Tensor, own: Grid, wanted: Grid) -> Tensor:
    """Interpolate tokens (B, N, D) of the grid `own` to the grid `wanted` (trilinear)."""
    if own == wanted:
        return token_BND
    volume_BDTHW = token_BND.transpose(1, 2).unflatten(2, own)
    resized = F.interpolate(volume_BDTHW.float(), wanted, mode="trilinear", align_corners=False)
    return resized.flatten(2).transpose(1, 2)


def check_grids(name: str, own: Grid, wanted: Grid, *, attention: bool) -> None:
    """Say that tokens are interpolated, or refuse it where attention is compared.

    Args:
        name: of the other network.
        own: its grid.
        wanted: the student's.
        attention: whether maps are compared, whose rows and columns are tokens.

    Raises:
        UserError: maps of unlike grids.
    """
    if own == wanted:
        return
    grids = f"{_words(own)} tokens, and the student's clips {_words(wanted)}"
    if attention:
        raise UserError(
            f"clips of the {name} are {grids} (time x height x width): their attention cannot be compared. "
            "Set attention_distillation_weight: 0, or a student with the same size, patch and tubelet."
        )
    log.warning("clips of the %s are %s: hidden states are interpolated", name, grids)


def _from_one(index: int, depth: int, name: str) -> int:
    if not 1 <= abs(index) <= depth:
        raise UserError(
            f"hidden_layers_to_align: {name} has {depth} layers and no layer {index}: name layers from 1 to "
            f"{depth} or from -1 to -{depth}"
        )
    return index if index > 0 else depth + 1 + index


def _words(grid: Grid) -> str:
    return " x ".join(map(str, grid))
