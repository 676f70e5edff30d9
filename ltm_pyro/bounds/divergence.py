"""KL(q || p) of one latent site: in closed form where one is registered, else a Monte Carlo estimate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, kl_divergence


class Divergence(NamedTuple):
    """KL per particle and sequence, with its parts by layer and dimension where they exist."""

    total: Tensor  # (S, B)
    per_layer: Tensor | None = None  # (S, B, L): of each layer given those before it
    per_dimension: Tensor | None = None  # (S, B, *event)
    closed_form: bool = False

    @classmethod
    def cat(cls, parts: Sequence[Divergence]) -> Divergence:
        """Concatenate the particles of several passes."""
        total, per_layer, per_dimension, exact = zip(*parts, strict=True)
        return cls(torch.cat(total), _cat(per_layer), _cat(per_dimension), all(exact))


def divergence(
    q: Distribution,
    p: Distribution,
    z: Tensor,
    closed_form: bool = True,
    sampled: Callable[[], Tensor] | None = None,
) -> Divergence:
    r"""KL(q || p), exact or as the one-sample estimate :math:`\log q(z) - \log p(z)`.

    `Independent` wrappers that q and p share are removed, so that the KL of a factorised pair is also split by layer,
    and by dimension.

    A q with dependent layers may have a method `kl_per_layer`, which takes p and returns the terms of the chain rule,
    :math:`\mathbb{E}_q\, \mathrm{KL}(q(z_l \mid z_{<l}) \,\|\, p(z_l \mid z_{<l}))` by layer, exact, shape
    (*batch, L); where there is no closed form for p it raises NotImplementedError.

    Args:
        q: the guide's distribution, batch shape (B,) or (S, B).
        p: the prior, of the same event shape.
        z: the sample, shape (S, B, *event) or (B, *event).
        closed_form: whether to use a closed form where there is one; False always takes the estimate.
        sampled: returns log q(z) - log p(z) where they are known; called only if the estimate is needed.
    """
    depth = min(_depth(q), _depth(p))
    chained = _by_the_chain_rule(q, p) if closed_form and not depth else None
    if chained is not None:
        return Divergence(chained.sum(-1), chained, closed_form=True)
    q, p = _without(q, depth), _without(p, depth)
    split = _closed_form(q, p) if closed_form else None  # (*batch, *depth event dimensions)
    exact = split is not None
    if split is None and not depth and sampled is not None:
        split = sampled()  # a prior's density may be random and costly: evaluate it once
    elif split is None:
        split = q.log_prob(z) - p.log_prob(z)
    if not depth:
        return Divergence(split, closed_form=exact)
    per_layer = split.flatten(1 - depth).sum(-1) if depth > 1 else split
    return Divergence(per_layer.sum(-1), per_layer, None if q.event_shape else split, exact)


def _by_the_chain_rule(q: Distribution, p: Distribution) -> Tensor | None:
    kl_per_layer = getattr(q, "kl_per_layer", None)
    try:
        return None if kl_per_layer is None else kl_per_layer(p)
    except NotImplementedError:
        return None


def _closed_form(q: Distribution, p: Distribution) -> Tensor | None:
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        return None


def _depth(distribution: Distribution) -> int:
    return distribution.reinterpreted_batch_ndims if isinstance(distribution, Independent) else 0


def _without(distribution: Distribution, depth: int) -> Distribution:
    if not depth or not isinstance(distribution, Independent):
        return distribution
    left = distribution.reinterpreted_batch_ndims - depth
    return Independent(distribution.base_dist, left) if left else distribution.base_dist


def _cat(splits: Sequence[Tensor | None]) -> Tensor | None:
    return None if splits[0] is None else torch.cat([split for split in splits if split is not None])
