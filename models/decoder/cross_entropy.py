"""Log-probabilities of tokens from hidden states, without the logits of a whole text in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

try:
    from torch.nn import LinearCrossEntropyOptions
    from torch.nn.functional import linear_cross_entropy
except ImportError:  # torch 2.11 and 2.12
    FUSED: Callable[..., Tensor] | None = None
else:
    CHUNK = LinearCrossEntropyOptions(batch_chunk_size=256)  # the automatic chunk is several times slower on a CPU
    FUSED = partial(linear_cross_entropy, reduction="none", options=CHUNK)

LEARNING = 256  # rows at once, at least, where the weight learns: each chunk has a gradient as large as the weight
LOGITS = {"cpu": 2**20, "cuda": 2**26}  # at once: on a CPU as many as stay in its cache
FEWEST, MOST = 128, 4096  # rows at once; with 64 a pass over the weights of 50,000 tokens takes a fifth longer


def token_nats(rows: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    r"""Log-probability of every target, :math:`\log \mathrm{softmax}(W h_n)_{x_n}`, in nats, in float32 or better.

    Where the weight is held, its gradient is not computed, and that of the rows is ready after the forward pass: two
    products of matrices instead of three. Where it learns, torch's `linear_cross_entropy` computes both; before torch
    2.13, which brought it, the logits of some rows at a time are computed again in the backward pass.

    Args:
        rows: hidden states h, shape (N, D).
        weight: W, shape (V, D).
        targets: token ids, shape (N,).

    Returns:
        Shape (N,).
    """
    if torch.is_grad_enabled() and weight.requires_grad:
        return -FUSED(rows, weight, targets) if FUSED else _recomputed(rows, weight, targets)
    kind = rows.device.type
    if torch.is_autocast_enabled(kind):
        rows, weight = (t.to(torch.get_autocast_dtype(kind)) for t in (rows, weight))
    return _HeldWeight.apply(rows, weight, targets)


def _recomputed(rows: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Log-probabilities by activation checkpointing: no more than one chunk's logits are held, in either pass."""
    size = max(LEARNING, _chunk_size(rows, weight))
    chunks = zip(rows.split(size), targets.split(size), strict=True)
    settings: dict[str, Any] = {"use_reentrant": False, "preserve_rng_state": False}
    return torch.cat([checkpoint(_chunk_nats, h, weight, x, **settings) for h, x in chunks])


def _chunk_nats(rows: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    logits = linear(rows, weight)
    log_p = torch.log_softmax(logits, -1, dtype=torch.promote_types(logits.dtype, torch.float32))
    return log_p.gather(-1, targets[:, None]).squeeze(-1)


def _chunk_size(rows: Tensor, weight: Tensor) -> int:
    """Number of rows whose logits are computed at once."""
    return max(FEWEST, min(MOST, LOGITS.get(rows.device.type, LOGITS["cuda"]) // len(weight)))


class _HeldWeight(torch.autograd.Function):
    """The gradient of a row is its token's weight less the expected one, so that both come from the same logits."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        size = _chunk_size(rows, weight)
        exact = torch.promote_types(rows.dtype, torch.float32)
        nats = rows.new_empty(len(rows), dtype=exact)
        slopes = weight[targets] if ctx.needs_input_grad[0] else None
        room = rows.new_empty(min(size, len(rows)), len(weight))
        for first in range(0, len(rows), size):
            part = slice(first, first + size)
            logits = torch.mm(rows[part], weight.T, out=room[: len(rows[part])])
            log_p = _log_softmax(logits, exact)
            nats[part] = log_p.gather(-1, targets[part, None]).squeeze(-1)
            if slopes is not None:
                slopes[part].addmm_(log_p.exp_().to(weight.dtype), weight, alpha=-1)
        ctx.save_for_backward(slopes)
        return nats

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, None, None]:
        (slopes,) = ctx.saved_tensors
        return None if slopes is None else (outer[0][:, None] * slopes).to(slopes.dtype), None, None


def _log_softmax(logits: Tensor, exact: torch.dtype) -> Tensor:
    """In the place of the logits, unless they are less exact than asked for."""
    if logits.dtype == exact:
        return torch.log_softmax(logits, -1, out=logits)
    return torch.log_softmax(logits, -1, dtype=exact)
