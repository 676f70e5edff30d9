"""Thoughts between those of two texts."""

from __future__ import annotations

import torch
from torch import Tensor


def great_circle(first: Tensor, second: Tensor, share: Tensor | float) -> Tensor:
    r"""Thoughts on the way from one to another that are as long as those of a Gaussian prior are, all the way.

    .. math:: z_t = \frac{\sin((1-t)\,\omega)}{\sin\omega}\, z_0 + \frac{\sin(t\,\omega)}{\sin\omega}\, z_1

    with ω the angle between them; half way on the straight line they would be shorter by a third (Shoemake, 1985;
    White, 2016, arXiv 1609.04468). Thoughts that point the same way are joined by the straight line.

    Args:
        first, second: shape (N, L, K, D).
        share: t, from 0 to 1; one for all, or one each, (N,).

    Returns:
        Shape (N, L, K, D).
    """
    t = torch.as_tensor(share, dtype=first.dtype, device=first.device).expand(len(first))[:, None]
    one, two = first.flatten(1), second.flatten(1)
    cosine = torch.nn.functional.cosine_similarity(one, two, dim=1)[:, None].clamp(-1, 1)
    angle = cosine.arccos()
    sine = angle.sin()
    near = sine < 1e-6
    divisor = sine.masked_fill(near, 1)
    left = torch.where(near, 1 - t, ((1 - t) * angle).sin() / divisor)
    right = torch.where(near, t, (t * angle).sin() / divisor)
    return (left * one + right * two).view_as(first)


def crossing(first: Tensor, second: Tensor, share: Tensor | float) -> Tensor:
    """One-hot thoughts between two texts: each thought whole, from the second text with probability t.

    A weighted mean of two codes would be no code, and the decoder has seen none such.

    Args:
        first, second: shape (N, L, K, C).
        share: t, from 0 to 1; one for all, or one each, (N,).

    Returns:
        Shape (N, L, K, C).
    """
    t = torch.as_tensor(share, dtype=first.dtype, device=first.device).expand(len(first)).view(-1, 1, 1, 1)
    return torch.where(torch.rand_like(first[..., :1]) < t, second, first)
