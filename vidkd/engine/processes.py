"""One training in several processes, each with its own part of every batch.

The loss is that of the whole batch in every process: what a network makes of its own clips is `gathered`, or
a mean over them `averaged`, before a loss is made of it. Either gives a process the gradient of its own
clips, and the training loop adds these up. So no parameter may act on what has been gathered.

In one process each function gives back what it got.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from accelerate import PartialState
from accelerate.utils import gather, gather_object
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from vidkd.errors import UserError

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others: they load a batch, or the main one writes the state."""

Item = TypeVar("Item")


def count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def index() -> int:
    """Which of them this is; the main one, which alone writes, is 0."""
    return dist.get_rank() if count() > 1 else 0


def part(total: int, process: int | None = None) -> slice:
    """The clips of a whole batch that are a process's own; without a number, this one's."""
    number = index() if process is None else process
    return slice(total * number // count(), total * (number + 1) // count())


def gathered(own: Tensor, total: int) -> Tensor:
    """The whole batch (total, …) of what each process has of its own part."""
    return _Gathered.apply(own, total) if count() > 1 else own


def averaged(mean: Tensor, total: int) -> Tensor:
    """The mean over the whole batch of `total` clips, of a mean over those of each process."""
    return _Averaged.apply(mean, total) if count() > 1 else mean


def summed(own: Tensor) -> Tensor:
    """The sum over processes, without a gradient."""
    if count() > 1:
        own = own.clone()
        dist.all_reduce(own)
    return own


def sum_gradients(method: nn.Module) -> None:
    """Give every process the gradient of the whole batch: the sum of those of all parts.

    At once before a step, not during the backward pass as DistributedDataParallel does: the order of the sum,
    and so its last bit, is the same after a resume; the batches of a step share one sum; and what a batch did
    not use, such as a frame count that was not drawn, has no gradient, as in one process.
    """
    if count() == 1:
        return
    gradients = [parameter.grad for parameter in method.parameters() if parameter.grad is not None]
    whole = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(whole)
    parts = whole.split([gradient.numel() for gradient in gradients])
    for gradient, of_all in zip(gradients, parts, strict=True):
        gradient.copy_(of_all.view_as(gradient))


def in_order(own: list[Item]) -> list[Item]:
    """What was made of all batches, where process i has made its list of batch i, i + `count()`, ..."""
    if count() == 1:
        return own
    numbered = [(number * count() + index(), item) for number, item in enumerate(own)]
    return [item for _, item in sorted(gather_object(numbered), key=lambda pair: pair[0])]


def highest(number: int) -> int:
    """The highest of all processes' numbers."""
    if count() == 1:
        return number
    return int(gather(torch.tensor([number], device=PartialState().device)).max())


def leave_to_main() -> None:
    """End every process but the main one, which has the result to write."""
    if count() > 1:
        main = index() == 0
        dist.destroy_process_group()
        if not main:
            raise SystemExit(0)


@contextmanager
def naming_lost_process() -> Iterator[None]:
    """Have the end of another process end this one with a sentence.

    Raises:
        UserError: another one has ended, or does not answer.
    """
    try:
        yield
    except RuntimeError as error:
        if count() == 1 or not any(library in str(error) for library in ("gloo", "NCCL")):
            raise
        raise UserError(
            "another process of this training ended or does not answer; its own message says why "
            f"({str(error).partition(chr(10))[0]})"
        ) from error


def whole_batch(total: int) -> AbstractContextManager[object]:
    """While entered, a network in training sees its own clips as parts of a batch of `total`.

    BatchNorm has the statistics of all of them, and dropout draws what it would draw for all of them.
    """
    return _WholeBatch(total) if count() > 1 else nullcontext()


class _WholeBatch(TorchFunctionMode):
    """Calls are replaced, not modules, for not every BatchNorm is torch's: timm's has an activation."""

    def __init__(self, total: int) -> None:
        super().__init__()
        self.total = total

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.batch_norm:
            return self._batch_norm(*args, **kwargs)
        if func is F.dropout:
            return self._dropout(*args, **kwargs)
        if func in _RANDOM and kwargs.get("generator") is None:
            raise UserError(
                f"this network draws with {func.__name__} in training (drop_path, or a dropout of its "
                "own), which processes cannot share: turn that off, or train in one process (compute.gpus: 1)"
            )
        return func(*args, **kwargs)

    def _batch_norm(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training:
            return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
        out, mean_C, var_C, values = _Norm.apply(x, weight, bias, self.total, eps)
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.mul_(1 - momentum).add_(mean_C, alpha=momentum)
                running_var.mul_(1 - momentum).add_(var_C, alpha=momentum * values / (values - 1))
        return out

    def _dropout(self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0:
            return x
        own = part(self.total)
        rows = len(x) // (own.stop - own.start)
        noise = F.dropout(x.new_ones(self.total * rows, *x.shape[1:]), p)
        return x * noise[own.start * rows : own.stop * rows]


_RANDOM = (
    torch.rand, torch.randn, torch.rand_like, torch.randn_like, torch.bernoulli, torch.dropout,
    torch.Tensor.bernoulli_, torch.Tensor.uniform_, torch.Tensor.normal_,
    F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout,
)  # fmt: skip


def _by_process(own: Tensor) -> Tensor:
    """(processes, …) what each has."""
    rows = own.new_zeros(count(), *own.shape)
    rows[index()] = own
    dist.all_reduce(rows)
    return rows


def _shares(total: int) -> list[float]:
    """The share of the whole batch that each process has."""
    parts = (part(total, process) for process in range(count()))
    return [(own.stop - own.start) / total for own in parts]


class _Gathered(Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, total: int) -> Tensor:
        ctx.own = part(total)
        # As a sum, because parts are not all of one size.
        whole = own.new_zeros(total, *own.shape[1:])
        whole[ctx.own] = own
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad[ctx.own], None


class _Averaged(Function):
    @staticmethod
    def forward(ctx: Any, mean: Tensor, total: int) -> Tensor:
        ctx.share = _shares(total)[index()]
        value = mean * ctx.share
        dist.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * ctx.share, None


class _Norm(Function):
    """BatchNorm over all processes: torch's SyncBatchNorm is for GPUs only."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight_C: Tensor | None, bias_C: Tensor | None, total: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, float]:
        dims = [dim for dim in range(x.dim()) if dim != 1]
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        var_C, mean_C = torch.var_mean(exact, dims, correction=0)
        mean_PC, var_PC = _by_process(torch.stack([mean_C, var_C])).unbind(1)
        shares = _shares(total)
        share_P1 = mean_PC.new_tensor(shares).unsqueeze(1)
        mean_C = (share_P1 * mean_PC).sum(0)
        var_C = (share_P1 * (var_PC + (mean_PC - mean_C).square())).sum(0)
        ctx.values = x.numel() / x.shape[1] / shares[index()]
        ctx.dims, ctx.eps = dims, eps
        ctx.save_for_backward(x, weight_C, mean_C, var_C)
        ctx.mark_non_differentiable(mean_C, var_C)
        out = F.batch_norm(x, mean_C, var_C, weight_C, bias_C, False, 0.0, eps)
        return out, mean_C, var_C, ctx.values

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_unused: object) -> tuple[Tensor | None, ...]:
        x, weight_C, mean_C, var_C = ctx.saved_tensors
        shape = [1, -1, *[1] * (x.dim() - 2)]
        scale_C = (var_C + ctx.eps).rsqrt()
        normal = (x - mean_C.view(shape)) * scale_C.view(shape)
        grad = grad.to(normal.dtype)
        own_2C = torch.stack([grad.sum(ctx.dims), (grad * normal).sum(ctx.dims)])
        of_bias_C, of_weight_C = summed(own_2C) / ctx.values
        if weight_C is not None:
            scale_C = scale_C * weight_C
        inner = grad - of_bias_C.view(shape) - normal * of_weight_C.view(shape)
        grads = (None, None) if weight_C is None else (own_2C[1], own_2C[0])
        return (inner * scale_C.view(shape)).to(x.dtype), *grads, None, None
