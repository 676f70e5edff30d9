"""Interpolation from one text's thoughts to another's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ltm_pyro.evaluation.inspection.probe import log_likelihood
from ltm_pyro.generation import Sampling, great_circle, write
from ltm_pyro.inference import FastLoop

SHARES = (0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)


class InterpolationPoint(NamedTuple):
    """Point of an interpolation.

    Attributes:
        share: 0 at the first text, 1 at the second.
        first, second: cost of the two texts with the thoughts of this point, nats per token.
        tokens: tokens of a text generated with these thoughts, with the same noise at all points.
    """

    share: float
    first: float
    second: float
    tokens: list[int]


def interpolate(
    model: Any,
    guide: Any,
    fast: FastLoop,
    first: Tensor,
    second: Tensor,
    tokens: int,
    seed: int = 0,
    shares: Sequence[float] = SHARES,
    eos_id: int | None = None,
) -> list[InterpolationPoint]:
    """Interpolate between the thoughts of two texts on the great circle; score both texts and generate at each point.

    Args:
        model, guide, fast: as for an inspection.
        first, second: token ids, (T,) each.
        tokens: largest number of generated tokens at each point.
        seed: seed of the generated texts.
        shares: shares of the points, from 0 to 1.
        eos_id: id of the token that ends a text.
    """
    ends = []
    for x in (first[None], second[None]):
        fast.fit(model, guide, x)
        with torch.no_grad():
            ends.append(guide(x))
    stages = []
    with torch.no_grad():
        for share in shares:
            z = great_circle(ends[0], ends[1], share)
            costs = [-log_likelihood(model, z, x=x[None]).item() / len(x) for x in (first, second)]
            generator = torch.Generator(device=z.device).manual_seed(seed)
            generated = torch.cat(list(write(model, z, first[None, :0], tokens, Sampling(), eos_id, generator)))
            stages.append(InterpolationPoint(share, costs[0], costs[1], generated.tolist()))
    return stages
