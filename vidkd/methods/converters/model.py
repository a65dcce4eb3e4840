"""Converters: from the features of one network to those that another would have of the same video.

Shapes in names: B clips, N tokens of a clip, D features, M tokens of the teacher, W width inside, H attention
heads, d features of a head.

No layer has statistics over the batch: what a clip is converted to does not depend on the clips beside it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidkd.errors import UserError
from vidkd.methods.converters.settings import ConverterSettings
from vidkd.methods.probes.model import Standardise

_KERNEL = 3
"""Tokens that a convolution of the resampler sees."""

_HIDDEN = 2
"""Width of an MLP of the perceiver, as a multiple of its own."""

_PLACES = 0.5
"""Standard deviation at the start of what tells the tokens of the perceiver apart: about that of tokens. The
usual 0.02 drowns in them, and a few epochs do not bring it up."""


class Converter(nn.Module):
    """A core between standardised features, and the statistics of both sides, taken from training tokens.

    Attributes:
        student_shape: (N, D) of what it takes.
        teacher_shape: (M, D) of what it gives.
    """

    def __init__(
        self, core: nn.Module, student_shape: tuple[int, int], teacher_shape: tuple[int, int]
    ) -> None:
        super().__init__()
        self.student_shape, self.teacher_shape = student_shape, teacher_shape
        self.student, self.teacher = Standardise(student_shape[1]), Standardise(teacher_shape[1])
        self.core = core

    def forward(self, student_BND: Tensor) -> Tensor:
        """Features (B, M, D) in the teacher's own space, float32, of the student's of any float type."""
        return self.unscaled(self.standardised(student_BND))

    def standardised(self, student_BND: Tensor) -> Tensor:
        """Return the same with mean 0 and deviation 1 over the training tokens, for the objective."""
        predicted_BMD: Tensor = self.core(self.student(student_BND))
        return predicted_BMD.float()

    def unscaled(self, standardised_BMD: Tensor) -> Tensor:
        """Standardised features in the teacher's own space."""
        return standardised_BMD * self.teacher.std + self.teacher.mean


class Linear(nn.Sequential):
    """Each token by one matrix, then interpolation between tokens."""

    def __init__(
        self, student: tuple[int, int], teacher: tuple[int, int], settings: ConverterSettings
    ) -> None:
        super().__init__(nn.Linear(student[1], teacher[1]), resize(student[0], teacher[0]))


class Resampler(nn.Module):
    """Residual convolutions over the student's tokens, then interpolation between tokens."""

    def __init__(
        self, student: tuple[int, int], teacher: tuple[int, int], settings: ConverterSettings
    ) -> None:
        super().__init__()
        width = settings.width
        self.enter = nn.Linear(student[1], width)
        self.blocks = nn.Sequential(*(_Convolution(width, settings.dropout) for _ in range(settings.layers)))
        self.resize = resize(student[0], teacher[0])
        self.leave = nn.Linear(width, teacher[1])

    def forward(self, feature_BND: Tensor) -> Tensor:
        """Features (B, M, D)."""
        converted_BMD: Tensor = self.leave(self.resize(self.blocks(self.enter(feature_BND))))
        return converted_BMD


class _Convolution(nn.Module):
    """A residual convolution over tokens.

    Written as a product of matrices: in float32 on a GPU too, where cuDNN would round to TF32, and twice as
    fast as nn.Conv1d for one clip on a CPU.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.over_time = nn.Linear(_KERNEL * width, width)
        self.mix = nn.Linear(width, width)

    def forward(self, token_BNW: Tensor) -> Tensor:
        padded_BNW = F.pad(self.norm(token_BNW), (0, 0, _KERNEL // 2, _KERNEL // 2))
        near_BNW = self.over_time(padded_BNW.unfold(1, _KERNEL, 1).flatten(2))
        return token_BNW + self.dropout(self.mix(F.gelu(near_BNW)))


class Perceiver(nn.Module):
    """A learnt query for each of the teacher's tokens attends to the student's, whose places are learnt.

    The cross attention of Perceiver IO (Jaegle et al. 2022), several times over the same tokens.
    """

    def __init__(
        self, student: tuple[int, int], teacher: tuple[int, int], settings: ConverterSettings
    ) -> None:
        super().__init__()
        width = settings.width
        if width % settings.heads:
            raise UserError(f"heads {settings.heads} do not divide width {width}: change one of them")
        self.enter = nn.Linear(student[1], width)
        self.place_NW = nn.Parameter(_PLACES * torch.randn(student[0], width))
        self.query_MW = nn.Parameter(_PLACES * torch.randn(teacher[0], width))
        self.layers = nn.ModuleList(
            _CrossAttention(width, settings.heads, settings.dropout) for _ in range(settings.layers)
        )
        self.leave = nn.Linear(width, teacher[1])

    def forward(self, feature_BND: Tensor) -> Tensor:
        """Features (B, M, D)."""
        token_BNW = self.enter(feature_BND) + self.place_NW
        query_BMW = self.query_MW.expand(len(feature_BND), -1, -1)
        for layer in self.layers:
            query_BMW = layer(query_BMW, token_BNW)
        converted_BMD: Tensor = self.leave(query_BMW)
        return converted_BMD


class _CrossAttention(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query_norm, self.token_norm, self.mlp_norm = (nn.LayerNorm(width) for _ in range(3))
        self.to_query, self.to_key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.from_heads = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, _HIDDEN * width), nn.GELU(), nn.Linear(_HIDDEN * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, query_BMW: Tensor, token_BNW: Tensor) -> Tensor:
        query_BMW = query_BMW + self.dropout(self._attend(self.query_norm(query_BMW), token_BNW))
        return query_BMW + self.dropout(self.mlp(self.mlp_norm(query_BMW)))

    def _attend(self, query_BMW: Tensor, token_BNW: Tensor) -> Tensor:
        query_BHMd = self.to_query(query_BMW).unflatten(2, (self.heads, -1)).transpose(1, 2)
        both_BN2Hd = self.to_key_value(self.token_norm(token_BNW)).unflatten(2, (2, self.heads, -1))
        key_BHNd, value_BHNd = both_BN2Hd.permute(2, 0, 3, 1, 4)
        attended_BHMd = F.scaled_dot_product_attention(query_BHMd, key_BHNd, value_BHNd)
        return self.from_heads(attended_BHMd.transpose(1, 2).flatten(2))


class _Resize(nn.Module):
    """Tokens (B, N, D) to M of them, by the fixed matrix that linear interpolation is.

    It takes two tokens for each of the M. Where N is more than twice M that would leave tokens out, and each
    of the M is the mean of its part of the N instead; at twice M both are the same.

    The gradient of F.interpolate is not the same twice on a GPU; that of a product of matrices is.
    """

    weight_MN: Tensor

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        eye_1NN = torch.eye(before)[None]
        if before > 2 * after:
            weight_1NM = F.adaptive_avg_pool1d(eye_1NN, after)
        else:
            weight_1NM = F.interpolate(eye_1NN, size=after, mode="linear")
        self.register_buffer("weight_MN", weight_1NM[0].T.contiguous(), persistent=False)

    def forward(self, token_BND: Tensor) -> Tensor:
        return self.weight_MN.to(token_BND.dtype) @ token_BND


def resize(before: int, after: int) -> nn.Module:
    """Bring the tokens (B, `before`, D) of a clip to `after`: between neighbours, or means of many."""
    return nn.Identity() if before == after else _Resize(before, after)


KINDS = {"linear": Linear, "resampler": Resampler, "perceiver": Perceiver}
"""The cores by `kind`."""


def build_converter(
    settings: ConverterSettings, student_shape: tuple[int, int], teacher_shape: tuple[int, int]
) -> Converter:
    """Build the converter of these settings, untrained.

    Args:
        settings: of the converter.
        student_shape: (N, D) of the features that it takes.
        teacher_shape: (M, D) of those that it gives.

    Raises:
        UserError: the heads of a perceiver do not divide its width.
    """
    core = KINDS[settings.kind](student_shape, teacher_shape, settings)
    return Converter(core, student_shape, teacher_shape)
