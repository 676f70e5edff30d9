"""Derivatives of a function of the log-weights, per sequence."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


@torch.enable_grad()
def slope(value: Callable[[Tensor], Tensor], log_w: Tensor) -> Tensor:
    """First derivatives ∂f / ∂log w_s of every particle, (S, B) -> (S, B), without history."""
    log_w = log_w.detach().requires_grad_()
    return torch.autograd.grad(value(log_w).sum(), log_w)[0]


@torch.enable_grad()
def curvature(value: Callable[[Tensor], Tensor], log_w: Tensor) -> Tensor:
    """Second derivatives ∂²f / ∂(log w_s)² of every particle, (S, B) -> (S, B), without history."""
    log_w = log_w.detach().requires_grad_()
    (first,) = torch.autograd.grad(value(log_w).sum(), log_w, create_graph=True)
    if not first.requires_grad:  # f is linear
        return torch.zeros_like(first)
    rows = torch.eye(len(log_w), dtype=log_w.dtype, device=log_w.device)[..., None].expand(-1, -1, log_w.shape[1])
    (hessian,) = torch.autograd.grad(first, log_w, rows, is_grads_batched=True)  # (S, S, B)
    return hessian.diagonal().T
