"""The way from one text's thoughts to another's."""

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
    """A point on the way.

    Attributes:
        share: 0 at the first text, 1 at the second.
        first, second: what the two texts cost with the thoughts that are here, nats per token.
        tokens: of a text that was written with them, with the same noise at all stages.
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
    """Go from the thoughts of one text to those of another on the great circle, and see what they say on the way.

    Args:
        model, guide, fast: as for an inspection.
        first, second: token ids, (T,) each.
        tokens: the most to write at each stage.
        seed: of what is written.
        shares: the stages.
        eos_id: the token at which a text is over.
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
            written = torch.cat(list(write(model, z, first[None, :0], tokens, Sampling(), eos_id, generator)))
            stages.append(InterpolationPoint(share, costs[0], costs[1], written.tolist()))
    return stages
