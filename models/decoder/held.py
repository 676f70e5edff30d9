"""Sublayers of a block while its weights are held, each a single node of the graph with its derivative written down.

A fast step goes through the decoder for the gradient of z alone. For one or two texts the kernels have so little to do
that the nodes, views and copies between them cost as much. The functions here run the kernels of `Block`, in their
order and on the same numbers: values and gradients are the same to the last digit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear, silu
from torch.nn.modules import module as modules

from ltm_pyro.models.decoder.norm import RMSNorm, normalised, slope_through_norm
from ltm_pyro.models.decoder.rotary import rotate

PRECISIONS = (torch.float32, torch.float64)


def are_held(parts: Iterable[nn.Module], kinds: Collection[type], h: Tensor) -> bool:
    """Whether the weights of modules may be used without a call of the modules.

    That is so on a CPU, in the precision of h, outside of autocast and `torch.compile`, where no weight learns, no hook
    watches, and every module is what it was: a user may have put another in its place.

    Args:
        parts: the modules.
        kinds: the classes that they may be of.
        h: token states.
    """
    if h.device.type != "cpu" or h.dtype not in PRECISIONS or torch.compiler.is_compiling():
        return False
    if torch.is_autocast_enabled("cpu") or _are_all_modules_watched():
        return False
    learning = torch.is_grad_enabled()
    return all(type(part) in kinds and _is_plain(part.__dict__, h.dtype, learning) for part in parts)


def _is_plain(own: dict[str, Any], dtype: torch.dtype, learning: bool) -> bool:
    """Whether a module, of these attributes, has its class's forward, no hooks, no bias, and an ordinary weight."""
    if own["_forward_hooks"] or own["_forward_pre_hooks"] or own["_backward_hooks"] or own["_backward_pre_hooks"]:
        return False
    if "forward" in own or own.get("_compiled_call_impl") is not None:
        return False
    parameters = own["_parameters"]
    if not parameters:
        return True  # attention and SwiGLU, whose weights are their children's
    weight = parameters.get("weight")  # None where it is parametrised
    plain = type(weight) is nn.Parameter and weight.dtype == dtype  # no quantised or sharded tensor
    return plain and parameters.get("bias") is None and not (learning and weight.requires_grad)


def _are_all_modules_watched() -> bool:
    return bool(modules._global_forward_hooks or modules._global_forward_pre_hooks or modules._global_backward_hooks)


class HeldLookBack(torch.autograd.Function):
    """Queries, keys and values of the self-attention, from token states h of shape (..., T, D).

    For a text in blocks of C they are as attention takes them: (N * H, blocks, C, D/H) and, with the block before each,
    (N * H, blocks, 2C, D/H), where neighbouring windows share their memory. Else each is (N, H, T, D/H).
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, norm: RMSNorm, heads: Any, table: Tensor, block: int | None) -> Any:
        n, inverse = normalised(h, norm.weight, norm.eps)
        rows, shape = n.reshape(-1, n.shape[-1]), (-1, h.shape[-2], heads.heads, h.shape[-1] // heads.heads)
        weights = (heads.query.weight, heads.key.weight, heads.value.weight)
        q, k, v = (torch.mm(rows, weight.T).view(shape).transpose(1, 2) for weight in weights)  # (N, H, T, D/H)
        q, k = rotate(q, table), rotate(k, table)
        ctx.save_for_backward(h, inverse, norm.weight, table, *weights)
        ctx.block = block
        return (q, k, v) if block is None else (_blocks(q, block), _windows(k, block), _windows(v, block))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        h, inverse, gain, table, *weights = ctx.saved_tensors
        q, k, v = outer
        if ctx.block is not None:
            whole, heads = (q.flatten(1, 2), _fold(k), _fold(v)), h.shape[-1] // q.shape[-1]
            q, k, v = (_tokens(x, heads, h.shape[-2]) for x in whole)
        q, k = _rotate_back(q, table), _rotate_back(k, table)
        slope = torch.mm(_rows(v), weights[2])
        slope += torch.mm(_rows(k), weights[1])
        slope += torch.mm(_rows(q), weights[0])
        return slope_through_norm(slope.view_as(h), h, gain, inverse), None, None, None, None


class HeldThoughts(torch.autograd.Function):
    """Keys and values of a layer's thoughts, (..., H, K, D/H) each, from z, (..., K, D)."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, heads: Any, table: Tensor) -> tuple[Tensor, Tensor]:
        key, value = heads.key.weight, heads.value.weight
        ctx.save_for_backward(key, value, table)
        return rotate(heads.split(linear(z, key)), table), heads.split(linear(z, value))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        key, value, table = ctx.saved_tensors
        k, v = (x.transpose(-3, -2).flatten(-2) for x in (_rotate_back(outer[0], table), outer[1]))
        return torch.matmul(v, value).add_(torch.matmul(k, key)), None, None


class HeldQueries(torch.autograd.Function):
    """Queries of the cross-attention, (..., H, T, D/H), from token states h, (..., T, D)."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, norm: RMSNorm, heads: Any, table: Tensor) -> Tensor:
        n, inverse = normalised(h, norm.weight, norm.eps)
        q = torch.mm(n.reshape(-1, n.shape[-1]), heads.query.weight.T).view(n.shape)
        ctx.save_for_backward(h, inverse, norm.weight, table, heads.query.weight)
        return rotate(heads.split(q), table)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        h, inverse, gain, table, weight = ctx.saved_tensors
        rows = _rows(_rotate_back(outer[0], table))
        return slope_through_norm(torch.mm(rows, weight).view_as(h), h, gain, inverse), None, None, None


class HeldAnswer(torch.autograd.Function):
    """Token states h and what attention adds to them, shape (*leading, T, D).

    `attended` is (N, H, T, D/H), or (N * H, blocks, C, D/H) where `heads` is given.
    """

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, attended: Tensor, weight: Tensor, leading: tuple[int, ...], heads: int | None
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.of_h, ctx.of_attended = h.shape, attended.shape
        if heads is not None:
            attended = _tokens(attended.flatten(1, 2), heads, h.shape[-2])
        return torch.mm(_rows(attended), weight.T).view(*leading, *h.shape[-2:]).add_(h)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        (slope,), (weight,), shape = outer, ctx.saved_tensors, ctx.of_attended
        rows = torch.mm(slope.reshape(-1, slope.shape[-1]), weight)
        attended = rows.view(-1, slope.shape[-2], rows.shape[-1] // shape[-1], shape[-1]).transpose(1, 2)
        if attended.shape != shape:
            attended = _blocks(attended, shape[-2])
        return slope.sum_to_size(ctx.of_h) if ctx.needs_input_grad[0] else None, attended, None, None, None


class HeldFeedForward(torch.autograd.Function):
    """Token states and what the SwiGLU behind its norm adds to them, (..., T, D)."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, norm: RMSNorm, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
        n, inverse = normalised(h, norm.weight, norm.eps)
        rows = n.reshape(-1, n.shape[-1])
        gated, raised = torch.mm(rows, gate.T), torch.mm(rows, up.T)
        opened = silu(gated)
        ctx.save_for_backward(h, inverse, norm.weight, gate, up, down, gated, opened, raised)
        return torch.mm(opened * raised, down.T).view_as(h).add_(h)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        h, inverse, gain, gate, up, down, gated, opened, raised = ctx.saved_tensors
        inner = torch.mm(outer[0].reshape(-1, h.shape[-1]), down)
        slope = torch.mm(inner * opened, up)
        slope += torch.mm(torch.ops.aten.silu_backward(inner.mul_(raised), gated), gate)
        return slope_through_norm(slope.view_as(h), h, gain, inverse).add_(outer[0]), None, None, None, None


def _rotate_back(x: Tensor, table: Tensor) -> Tensor:
    """The derivative of `rotate`, of the layout in which automatic differentiation takes it: it rounds alike."""
    conjugate = torch.view_as_complex(table.to(x.dtype)).conj()
    return torch.view_as_real(torch.view_as_complex(x.contiguous().unflatten(-1, (-1, 2))) * conjugate).flatten(-2)


def _rows(x: Tensor) -> Tensor:
    return x.transpose(-3, -2).reshape(-1, x.shape[-3] * x.shape[-1])  # (..., H, T, D/H) -> (N * T, D)


def _blocks(x: Tensor, size: int) -> Tensor:
    """Queries of every block, (N * H, blocks, C, D/H) from (N, H, T, D/H), filled up with zeros."""
    x, missing = x.flatten(0, 1), -x.shape[-2] % size
    return (nn.functional.pad(x, (0, 0, 0, missing)) if missing else x).unflatten(1, (-1, size))


def _windows(x: Tensor, size: int) -> Tensor:
    """Keys or values of every block and of the one before, (N * H, blocks, 2C, D/H) from (N, H, T, D/H)."""
    n, heads, length, channels = x.shape
    blocks = -(-length // size)
    room = x.new_empty(n, heads, (blocks + 1) * size, channels)
    room[:, :, :size] = 0
    room[:, :, size : size + length] = x
    room[:, :, size + length :] = 0
    return room.flatten(0, 1).unfold(1, 2 * size, size).transpose(-2, -1)


def _tokens(x: Tensor, heads: int, length: int) -> Tensor:
    return x[:, :length].unflatten(0, (-1, heads))  # (N * H, blocks * C, D/H) -> (N, H, T, D/H)


def _fold(slopes: Tensor) -> Tensor:
    """Slopes by tokens, (N * H, blocks * C, D/H), from those by windows."""
    before, own = slopes.chunk(2, -2)
    total = own.clone(memory_format=torch.contiguous_format)
    total[:, :-1] += before[:, 1:]
    return total.flatten(1, 2)
