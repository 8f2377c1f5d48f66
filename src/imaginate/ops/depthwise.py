"""Depthwise convolutions on maps smaller than their kernel: the gradient of the weights by matrix products.

oneDNN has no fast gradient of the weights there: on a 4 x 4 map it takes 50 times as long as the gradient of the map,
and with it half of the time of fine-tuning an EfficientNet at 64 px on a CPU. The sums are the same; only their order
differs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

MOST = 64  # positions of a map; on larger ones every pair of positions is too many


def quick_depthwise() -> AbstractContextManager[Any]:
    """Within it, `conv2d` on a CPU has a quick gradient where the kernel is larger than the map. It changes nothing
    else, and nothing where it does not apply."""
    return _Quick()


class _Quick(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.conv2d and not kwargs and len(args) == 7 and _applies(*args):
            x, weight, bias, stride, padding = args[:5]
            out = _Depthwise.apply(x, weight, tuple(stride), tuple(padding))
            return out if bias is None else out + bias.view(-1, 1, 1)
        return func(*args, **(kwargs or {}))


def _applies(x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> bool:
    """Whether the convolution is depthwise, its map smaller than its kernel, and its weights learn on a CPU."""
    return bool(
        groups > 1
        and x.dim() == 4
        and groups == x.shape[1] == weight.shape[0]
        and (x.shape[2] < weight.shape[2] or x.shape[3] < weight.shape[3])
        and x.shape[2] * x.shape[3] <= MOST
        and weight.requires_grad
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and all(isinstance(value, tuple | list) for value in (stride, padding, dilation))
        and tuple(dilation) == (1, 1)
    )


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, stride: Any, padding: Any) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, None, stride, padding, 1, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        of_map, of_weight = None, None
        if ctx.needs_input_grad[0]:
            of_map = torch.ops.aten.convolution_backward(
                gradient, x, weight, None, ctx.stride, ctx.padding, (1, 1), False, (0, 0), len(weight),
                (True, False, False),
            )[0]  # fmt: skip
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(x, gradient, tuple(weight.shape[2:]), ctx.stride, ctx.padding)
        return of_map, of_weight, None, None


def weight_gradient(
    x: torch.Tensor, gradient: torch.Tensor, kernel: tuple[int, ...], stride: tuple[int, int], padding: tuple[int, int]
) -> torch.Tensor:
    """The gradient of the weights of a depthwise convolution.

    With M_c[o, i] = sum_b gradient[b, c, o] x[b, c, i] over positions o of the output and i of the map, the weight at
    one tap is the sum of M_c over the pairs (o, i) that this tap joins.

    x: (b, c, h, w); gradient: (b, c, h', w'). Returns (c, 1, kh, kw).
    """
    b, c, *out = gradient.shape
    rows = gradient.permute(1, 2, 3, 0).reshape(c, -1, b)
    columns = x.permute(1, 0, 2, 3).reshape(c, b, -1)
    pairs = torch.bmm(rows, columns).flatten(1)  # (c, h' w' h w)
    return (pairs @ _taps(tuple(out), tuple(x.shape[2:]), kernel, stride, padding)).view(c, 1, *kernel)


@cache
def _taps(
    out: tuple[int, ...],
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> torch.Tensor:
    """1 where a tap of the kernel joins a position of the output with one of the map. (h' w' h w, kh kw)"""

    def along(axis: int) -> torch.Tensor:  # (out, size, kernel) of one axis
        o = torch.arange(out[axis]).view(-1, 1, 1) * stride[axis] - padding[axis]
        i = torch.arange(size[axis]).view(1, -1, 1)
        return (o + torch.arange(kernel[axis]).view(1, 1, -1) == i).float()

    joined = torch.einsum("aik,bjl->abijkl", along(0), along(1))
    return joined.reshape(-1, kernel[0] * kernel[1])
