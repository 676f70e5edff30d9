"""Attention within a window by FlexAttention against attention in blocks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.gpu.finding import Finding, tolerance
from benchmarks.gpu.setting import Setting
from benchmarks.timing.measures import times_as_fast
from ltm_pyro.models.decoder.banded import band_masks, banded_attention
from ltm_pyro.models.decoder.flexible import FlexibleWindow

APART = 1e-3  # of outputs and gradients of about 1, in float32; a compiled kernel may multiply in TF32
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


def measure(setting: Setting) -> Finding:
    """Their largest differences and, on CUDA, how much faster the one is with the way back, both compiled."""
    sizes = setting.sizes
    flexible = FlexibleWindow(sizes.length, sizes.window, setting.device)
    masks = band_masks(sizes.length, sizes.window).to(setting.device)
    blocks = partial(banded_attention, masks=masks)
    if setting.on_cuda:
        return timed(setting, _compiled(flexible), _compiled(blocks))
    q, k, v = (part.detach() for part in _tensors(setting)[:3])
    apart = _apart(flexible(q, k, v), blocks(q, k, v))
    reason = f"FlexAttention's ratio and gradient: on {setting.device} it has no gradient, and forms all scores"
    return Finding([tolerance("FlexAttention against blocks: largest difference", apart, APART)], [reason])


def timed(setting: Setting, flexible: Attention, blocks: Attention) -> Finding:
    """Of both, forward and back: the ratio of their times, and their differences."""
    *inputs, outer = _tensors(setting)
    found = {name: _both_ways(way, inputs, outer) for name, way in (("flexible", flexible), ("blocks", blocks))}
    names = ("attention", "gradient of q", "gradient of k", "gradient of v")
    differences = map(_apart, found["flexible"], found["blocks"])
    contestants = {
        "flexible": partial(_both_ways, flexible, inputs, outer),
        "blocks": partial(_both_ways, blocks, inputs, outer),
    }
    seconds = setting.alternate(contestants, warmup=3)
    ratio = times_as_fast("FlexAttention / blocks, forward and back", seconds["blocks"], seconds["flexible"])
    equal = [
        tolerance(f"FlexAttention against blocks: largest difference, {name}", apart, APART)
        for name, apart in zip(names, differences, strict=True)
    ]
    return Finding([ratio, *equal])


def _compiled(attention: Attention) -> Attention:
    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention(q, k, v)

    return torch.compile(attend)


def _tensors(setting: Setting) -> list[Tensor]:
    """Queries, keys, values and the gradient of the result, shape (B, H, T, channels)."""
    sizes = setting.sizes
    shape = (sizes.batch, sizes.heads, sizes.length, sizes.width // sizes.heads)
    torch.manual_seed(setting.seed)
    *inputs, outer = torch.randn(4, *shape).to(setting.device).unbind()
    return [*(part.detach().requires_grad_() for part in inputs), outer]


def _both_ways(attention: Attention, inputs: list[Tensor], outer: Tensor) -> list[Tensor]:
    attended = attention(*inputs)
    return [attended.detach(), *torch.autograd.grad(attended, inputs, outer)]


def _apart(one: Tensor, other: Tensor) -> float:
    return (one - other).abs().max().item()
