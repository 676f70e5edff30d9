"""Nearest texts by thoughts and by tokens, and the map of posterior means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Neighbours(NamedTuple):
    """Nearest other text of every text, and the share of nearest texts from the same document.

    Args:
        by_thoughts, by_words: index of the nearest text, (N,).
        same_by_thoughts, same_by_words, same_by_chance: share of nearest texts from the same document, over texts
            whose document has another text; NaN without such texts.
        agreement: share of texts whose two nearest texts are the same.
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
        means: posterior means on the prior's scale, (N, ...), N two or more; centred for the cosine.
        counts: counts of each token, (N, V); weighted by log(N / number of texts with the token).
        documents: document of each text, N.
    """
    flat = means.flatten(1)
    weight = (len(counts) / (counts > 0).sum(0).clamp_min(1)).log()
    near = [_nearest(features) for features in (flat - flat.mean(0), counts * weight)]
    names = {name: number for number, name in enumerate(dict.fromkeys(documents))}
    document = torch.tensor([names[name] for name in documents])
    siblings = (document[:, None] == document).fill_diagonal_(False)
    mask = siblings.any(1)
    by_thoughts, by_words = ((document[index] == document)[mask].double().mean().item() for index in near)
    chance = (siblings[mask].double().sum(1) / (len(document) - 1)).mean().item()
    agreement = (near[0] == near[1]).double().mean().item()
    return Neighbours(near[0].tolist(), near[1].tolist(), by_thoughts, by_words, chance, agreement)


def _nearest(features: Tensor) -> Tensor:
    """Index of the other row with the highest cosine, for each row, (N,)."""
    unit = torch.nn.functional.normalize(features.double(), dim=1)
    return (unit @ unit.T).fill_diagonal_(-torch.inf).argmax(1)


def plane(means: Tensor) -> tuple[Tensor, list[float]]:
    """First two principal components of posterior means: coordinates (N, 2), and the share of variance of each axis."""
    flat = means.flatten(1)
    centred = flat - flat.mean(0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    places = torch.zeros(len(flat), 2, dtype=flat.dtype)
    places[:, : min(2, len(s))] = (u * s)[:, :2]
    total = s.square().sum().clamp_min(torch.finfo(s.dtype).tiny)
    shares = (s.square() / total)[:2].tolist()
    return places, shares + [0.0] * (2 - len(shares))
