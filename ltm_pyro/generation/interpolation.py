"""Interpolation between the thoughts of two texts."""

from __future__ import annotations

import torch
from torch import Tensor


def great_circle(first: Tensor, second: Tensor, share: Tensor | float) -> Tensor:
    r"""Spherical interpolation: at every t the thoughts are about as long as draws of a Gaussian prior.

    .. math:: z_t = \frac{\sin((1-t)\,\omega)}{\sin\omega}\, z_0 + \frac{\sin(t\,\omega)}{\sin\omega}\, z_1

    with ω the angle between z_0 and z_1 (Shoemake, 1985; White, 2016, arXiv 1609.04468). Half way on the straight line
    orthogonal thoughts would be shorter by a third. Where sin ω is below 1e-6 the interpolation is linear.

    Args:
        first, second: shape (N, L, K, D).
        share: t, from 0 to 1; a number, or shape (N,).

    Returns:
        Shape (N, L, K, D).
    """
    t = torch.as_tensor(share, dtype=first.dtype, device=first.device).expand(len(first))[:, None]
    start, end = first.flatten(1), second.flatten(1)
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=1)[:, None].clamp(-1, 1)
    angle = cosine.arccos()
    sine = angle.sin()
    near = sine < 1e-6
    divisor = sine.masked_fill(near, 1)
    start_weight = torch.where(near, 1 - t, ((1 - t) * angle).sin() / divisor)
    end_weight = torch.where(near, t, (t * angle).sin() / divisor)
    return (start_weight * start + end_weight * end).view_as(first)


def crossing(first: Tensor, second: Tensor, share: Tensor | float) -> Tensor:
    """Random crossing of one-hot thoughts: each thought comes from the second text with probability t, else the first.

    A weighted mean of two one-hot codes is no code, and the decoder was never trained on one.

    Args:
        first, second: shape (N, L, K, C).
        share: t, from 0 to 1; a number, or shape (N,).

    Returns:
        Shape (N, L, K, C).
    """
    t = torch.as_tensor(share, dtype=first.dtype, device=first.device).expand(len(first)).view(-1, 1, 1, 1)
    return torch.where(torch.rand_like(first[..., :1]) < t, second, first)
