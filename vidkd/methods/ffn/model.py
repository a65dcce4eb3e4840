"""TSM-ResNet and its frame-flexible form.

Shapes in names: B clips, T frames, N = B·T frames in a batch, C channels, H height, W width, K classes.
Parameter names are torchvision's, so that an ImageNet ResNet loads as it is; what a frame count has of its
own sits one level deeper, under the count: `layer1.0.bn1.16.weight`.

TSM: Lin et al., ICCV 2019. FFN: Zhang et al., "Frame Flexible Network", CVPR 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidkd.data.augment import Normalise
from vidkd.errors import UserError
from vidkd.methods.ffn.settings import FFNSettings, nearest_count


@dataclass(frozen=True)
class Architecture:
    """Depths, widths and stem of a ResNet."""

    bottleneck: bool
    depths: tuple[int, ...]
    widths: tuple[int, ...] = (64, 128, 256, 512)
    stem_width: int = 64
    stem_kernel: int = 7
    stem_pool: bool = True
    first_stride: int = 1


ARCHITECTURES = {
    "resnet18": Architecture(False, (2, 2, 2, 2)),
    "resnet34": Architecture(False, (3, 4, 6, 3)),
    "resnet50": Architecture(True, (3, 4, 6, 3)),
    "resnet101": Architecture(True, (3, 4, 23, 3)),
    "resnet_tiny": Architecture(False, (1, 2, 2), (32, 64, 96), 16, 3, stem_pool=False, first_stride=2),
}


class TemporalShift(torch.autograd.Function):
    """Move the first `fold` channels one frame back in time, the next `fold` forward; zeros at the ends."""

    @staticmethod
    def forward(ctx, x_NCHW: Tensor, frames: int, fold: int) -> Tensor:  # noqa: ANN001, D102
        ctx.frames, ctx.fold = frames, fold
        return _shift(x_NCHW, frames, fold, future=slice(0, fold), past=slice(fold, 2 * fold))

    @staticmethod
    def backward(ctx, grad_NCHW: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN001, D102
        fold = ctx.fold
        # The transpose of a shift is the shift the other way.
        return (
            _shift(grad_NCHW, ctx.frames, fold, future=slice(fold, 2 * fold), past=slice(0, fold)),
            None,
            None,
        )


def _shift(x_NCHW: Tensor, frames: int, fold: int, future: slice, past: slice) -> Tensor:
    """Channels `future` take frame t+1, channels `past` take t-1, the rest stay."""
    out_NCHW = torch.empty_like(x_NCHW)
    x, out = (t.unflatten(0, (-1, frames)) for t in (x_NCHW, out_NCHW))
    out[:, :, 2 * fold :] = x[:, :, 2 * fold :]
    out[:, :-1, future] = x[:, 1:, future]
    out[:, -1, future] = 0
    out[:, 1:, past] = x[:, :-1, past]
    out[:, 0, past] = 0
    return out_NCHW


class PerCount(nn.ModuleDict):
    """One module for each frame count; `at(frames)` is the nearest count's."""

    def __init__(self, counts: Sequence[int], make: Callable[[], nn.Module]) -> None:
        super().__init__({str(count): make() for count in counts})
        self.counts = tuple(counts)

    def at(self, frames: int) -> nn.Module:
        """Return the module that serves clips of `frames` frames."""
        return self[str(nearest_count(self.counts, frames))]


class WeightAlteration(nn.Module):
    """A frame count's own depthwise 1x1 convolution `a`, used as `conv(x + a(x))`.

    A depthwise 1x1 convolution scales each channel, so altering the weights of the convolution that follows
    gives the same result without touching the activations: hence FFN's name for it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, 1, 1))
        nn.init.normal_(self.weight, std=1e-3)

    def forward(self, conv_weight_OCHW: Tensor) -> Tensor:
        """Alter the weights (O, C, h, w) of the convolution behind."""
        return conv_weight_OCHW * (1 + self.weight.view(1, -1, 1, 1))


class _Block(nn.Module):
    """A residual block, basic or bottleneck, with a temporal shift before its first convolution."""

    def __init__(
        self, c_in: int, width: int, stride: int, *, bottleneck: bool, settings: FFNSettings
    ) -> None:
        super().__init__()
        c_out = width * 4 if bottleneck else width
        norm = _norms(settings)
        if bottleneck:
            self.conv1 = nn.Conv2d(c_in, width, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.conv3 = nn.Conv2d(width, c_out, 1, bias=False)
            self.bn3 = norm(c_out)
        else:
            self.conv1 = nn.Conv2d(c_in, width, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = norm(width), norm(width)
        self.downsample = None
        if stride != 1 or c_in != c_out:
            conv = nn.Conv2d(c_in, c_out, 1, stride, bias=False)
            self.downsample = nn.ModuleList([conv, norm(c_out)])
        self.alteration = None
        if settings.weight_alteration:
            self.alteration = PerCount(settings.frame_counts, lambda: WeightAlteration(c_in))
        self.bottleneck = bottleneck
        self.fold = 0 if settings.shift == "none" else int(c_in * settings.shift_fraction)

    def forward(self, x_NCHW: Tensor, frames: int, shift_length: int) -> Tensor:
        """`frames` chooses the count's own parts; the shift stays within runs of `shift_length` frames."""
        out = TemporalShift.apply(x_NCHW, shift_length, self.fold) if self.fold else x_NCHW
        weight = self.conv1.weight
        if self.alteration is not None:
            weight = self.alteration.at(frames)(weight)
        out = F.conv2d(out, weight, None, self.conv1.stride, self.conv1.padding)
        out = F.relu(self.bn1.at(frames)(out), inplace=True)
        out = self.bn2.at(frames)(self.conv2(out))
        if self.bottleneck:
            out = self.bn3.at(frames)(self.conv3(F.relu(out, inplace=True)))
        if self.downsample is not None:
            conv, norm = self.downsample
            x_NCHW = cast(PerCount, norm).at(frames)(conv(x_NCHW))
        return F.relu(out + x_NCHW, inplace=True)


class TSMResNet(nn.Module):
    """A ResNet over frames with temporal shifts; logits are the mean over frames."""

    def __init__(self, settings: FFNSettings, n_classes: int) -> None:
        super().__init__()
        arch = ARCHITECTURES[settings.arch]
        stem = arch.stem_kernel
        self.counts = settings.frame_counts
        self.official_shift = settings.shift == "official"
        self.conv1 = nn.Conv2d(3, arch.stem_width, stem, 2, stem // 2, bias=False)
        self.bn1 = _norms(settings)(arch.stem_width)
        self.pool = nn.MaxPool2d(3, 2, 1) if arch.stem_pool else nn.Identity()
        self.normalise = Normalise(settings.mean, settings.std)
        c_in = arch.stem_width
        self.stages = []
        for stage, (depth, width) in enumerate(zip(arch.depths, arch.widths, strict=True), start=1):
            blocks = nn.ModuleList()
            for block in range(depth):
                stride = 1 if block else (arch.first_stride if stage == 1 else 2)
                blocks.append(_Block(c_in, width, stride, bottleneck=arch.bottleneck, settings=settings))
                c_in = width * 4 if arch.bottleneck else width
            self.add_module(f"layer{stage}", blocks)
            self.stages.append(f"layer{stage}")
        self.dropout = nn.Dropout(settings.dropout)
        self.fc = nn.Linear(c_in, n_classes)
        self._initialise()

    def _initialise(self) -> None:
        # By type and never over the weight alterations, whose N(0, 1e-3) a later pass must not overwrite.
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.fc.weight, std=1e-3)
        nn.init.zeros_(self.fc.bias)

    def forward(self, clip_BTCHW: Tensor) -> Tensor:
        """Logits (B, K) of uint8 clips of any number of frames; they are normalised here and nowhere else.

        Raises:
            UserError: the official shift is trained with a batch that its groups do not divide.
        """
        frames = clip_BTCHW.shape[1]
        x = self.normalise(clip_BTCHW.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
        run = self._shift_length(frames, len(x))
        x = self.pool(F.relu(self.bn1.at(frames)(self.conv1(x)), inplace=True))
        for stage in self.stages:
            for block in self.get_submodule(stage).children():
                x = block(x, frames, run)
        logit_NK = self.fc(self.dropout(x.mean((2, 3))))
        return logit_NK.unflatten(0, (-1, frames)).mean(1)

    def _shift_length(self, frames: int, total: int) -> int:
        if not (self.official_shift and self.training):
            return frames
        if total % max(self.counts):
            raise UserError(
                f"shift: official needs batch_size x {frames} frames to be a multiple of {max(self.counts)}; "
                f"the batch has {total} frames. Change batch_size or use shift: clip."
            )
        return max(self.counts)


class UnsharedTSM(nn.Module):
    """The ablation without sharing: a whole network for each frame count."""

    def __init__(self, settings: FFNSettings, n_classes: int) -> None:
        super().__init__()
        single = {"sharing": True, "weight_alteration": False}
        self.networks = nn.ModuleDict(
            {
                str(count): TSMResNet(
                    settings.model_copy(update={**single, "frame_counts": (count,)}), n_classes
                )
                for count in settings.frame_counts
            }
        )
        self.counts = settings.frame_counts

    def forward(self, clip_BTCHW: Tensor) -> Tensor:
        """Logits (B, K) from the network of the nearest frame count."""
        return self.networks[str(nearest_count(self.counts, clip_BTCHW.shape[1]))](clip_BTCHW)


Network = TSMResNet | UnsharedTSM


def build_model(settings: FFNSettings, n_classes: int) -> Network:
    """Build a freshly initialised network for `settings`, channels last."""
    model = TSMResNet(settings, n_classes) if settings.sharing else UnsharedTSM(settings, n_classes)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def _norms(settings: FFNSettings) -> Callable[[int], PerCount]:
    counts = settings.frame_counts if settings.specialised_norm else settings.frame_counts[-1:]
    return lambda channels: PerCount(counts, lambda: nn.BatchNorm2d(channels))
