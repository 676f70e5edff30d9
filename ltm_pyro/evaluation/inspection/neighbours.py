"""Which texts lie near each other: by their thoughts, and by their words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Neighbours(NamedTuple):
    """The nearest other text of every text, and how often it comes from the same document.

    Args:
        by_thoughts, by_words: its index, (N,).
        same_by_thoughts, same_by_words, same_by_chance: the share from the same document, among texts that have
            another of their document; NaN if none has.
        agreement: the share of texts whose two neighbours are the same.
    """

    by_thoughts: list[int]
    by_words: list[int]
    same_by_thoughts: float
    same_by_words: float
    same_by_chance: float
    agreement: float


def neighbours(means: Tensor, counts: Tensor, documents: Sequence[str]) -> Neighbours:
    """Compare nearness of thoughts with that of bags of tokens, the baseline.

    Args:
        means: posterior means on the prior's scale, (N, ...), N two or more; their cosine is taken about their mean.
        counts: how often each token occurs, (N, V); weighed by log(N / texts that hold it).
        documents: that each text comes from, N.
    """
    flat = means.flatten(1)
    weight = (len(counts) / (counts > 0).sum(0).clamp_min(1)).log()
    near = [_nearest(features) for features in (flat - flat.mean(0), counts * weight)]
    names = {name: number for number, name in enumerate(dict.fromkeys(documents))}
    of = torch.tensor([names[name] for name in documents])
    same = (of[:, None] == of).fill_diagonal_(False)
    told = same.any(1)
    by_thoughts, by_words = ((of[index] == of)[told].double().mean().item() for index in near)
    chance = (same[told].double().sum(1) / (len(of) - 1)).mean().item()
    agreement = (near[0] == near[1]).double().mean().item()
    return Neighbours(near[0].tolist(), near[1].tolist(), by_thoughts, by_words, chance, agreement)


def _nearest(features: Tensor) -> Tensor:
    """The row of highest cosine to each, (N,)."""
    unit = torch.nn.functional.normalize(features.double(), dim=1)
    return (unit @ unit.T).fill_diagonal_(-torch.inf).argmax(1)


def plane(means: Tensor) -> tuple[Tensor, list[float]]:
    """Principal components of posterior means: places (N, 2), and the share of variance that each axis tells."""
    flat = means.flatten(1)
    centred = flat - flat.mean(0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    places = torch.zeros(len(flat), 2, dtype=flat.dtype)
    places[:, : min(2, len(s))] = (u * s)[:, :2]
    total = s.square().sum().clamp_min(torch.finfo(s.dtype).tiny)
    shares = (s.square() / total)[:2].tolist()
    return places, shares + [0.0] * (2 - len(shares))
