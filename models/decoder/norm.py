"""RMSNorm in few passes over memory."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class RMSNorm(nn.RMSNorm):
    r"""Channels divided by their root mean square, times a weight each (Zhang and Sennrich, 2019, arXiv 1910.07467).

    .. math:: y = w \odot x / r, \quad r = \sqrt{\textstyle\sum_d x_d^2 / D + \epsilon}

    PyTorch has one kernel for it on CUDA; on a CPU it goes a dozen times over memory, forward and back, and this does
    so half as often.
    """

    def forward(self, x: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        exact = x.dtype == self.weight.dtype and x.dtype in (torch.float32, torch.float64)
        if x.device.type == "cpu" and exact and not torch.compiler.is_compiling():
            return _InFewPasses.apply(x, self.weight, self.eps)
        return super().forward(x)


def normalised(x: Tensor, weight: Tensor, epsilon: float | None) -> tuple[Tensor, Tensor]:
    """y, shape (..., D), and 1 / r, shape (..., 1)."""
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    inverse = norm.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
    return torch.mul(x, inverse).mul_(weight), inverse


def slope_through_norm(slope: Tensor, x: Tensor, weight: Tensor, inverse: Tensor) -> Tensor:
    """The slope by x of a scalar, from its slope by y, shape (..., D)."""
    slope = slope * weight
    along = torch.linalg.vecdot(slope, x).unsqueeze(-1) * inverse.pow(3)
    return slope.mul_(inverse).addcmul_(x, along, value=-1 / x.shape[-1])


class _InFewPasses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float | None) -> Tensor:
        y, inverse = normalised(x, weight, epsilon)
        ctx.save_for_backward(x, weight, inverse)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (x, weight, inverse), (slope,) = ctx.saved_tensors, outer
        of_weight = (slope * x).mul_(inverse).flatten(0, -2).sum(0) if ctx.needs_input_grad[1] else None
        of_x = slope_through_norm(slope, x, weight, inverse) if ctx.needs_input_grad[0] else None
        return of_x, of_weight, None
