"""Which layers of two networks are compared, and tokens of one grid brought to another."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from vidkd.errors import UserError
from vidkd.methods.trimodel.model import Grid

log = logging.getLogger(__name__)


def student_layers(wanted: Sequence[int], depth: int) -> list[int]:
    """The layers that `hidden_layers_to_align` names, from 1, of a network with `depth` of them.

    Raises:
        UserError: there is no such layer.
    """
    return [_from_one(index, depth, "the student") for index in wanted]


def other_layers(wanted: Sequence[int], depth: int, other: int, pairing: str, name: str) -> list[int]:
    """The layer of another network that each of these is compared with, from 1.

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
    """Tokens of the grid `own` interpolated (trilinear) to the grid `wanted`."""
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
