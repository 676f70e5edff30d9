"""A closer look: at the fast loop, at a few texts token by token, at what is written with their thoughts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ltm_pyro.data import Batch
from ltm_pyro.evaluation.aggregate import Aggregate, aggregate_against_prior
from ltm_pyro.evaluation.evaluation_mode import evaluation_mode
from ltm_pyro.evaluation.inspection.attribution import TokenAttribution, attribute
from ltm_pyro.evaluation.inspection.checks import Check, predictive_checks
from ltm_pyro.evaluation.inspection.dial import StepSweepPoint, bound_by_steps
from ltm_pyro.evaluation.inspection.path import InterpolationPoint, interpolate
from ltm_pyro.inference import FastLoop

WRITTEN = 48  # tokens at each stage of a way


class Text(NamedTuple):
    """One text that was read token by token.

    Attributes:
        id: of its sequence.
        tokens: ids, (T,).
        reading: of it alone, without the dimension of the batch.
    """

    id: int
    tokens: list[int]
    reading: TokenAttribution


@dataclass
class Details:
    """The findings of a closer look; after an interrupt, those it had by then.

    Attributes:
        dial: the bound by the number of fast steps.
        aggregate: the aggregated posterior against the prior.
        texts: read token by token.
        ends: the ids of the two texts of `way`.
        way: from the thoughts of one text to those of another.
        checks: of texts that were written with the thoughts of real ones.
    """

    dial: list[StepSweepPoint] = field(default_factory=list)
    aggregate: Aggregate | None = None
    texts: list[Text] = field(default_factory=list)
    ends: tuple[int, int] | None = None
    way: list[InterpolationPoint] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain numbers, for JSON."""
        return {
            "dial": [
                {
                    "fast_steps": one.steps,
                    "elbo": one.elbo.to_dict(),
                    "importance_weighted": one.importance_weighted.to_dict(),
                    "kl_per_token": one.kl_per_token,
                }
                for one in self.dial
            ],
            "aggregate": self.aggregate and self.aggregate.to_record(),
            "texts": [{"id": one.id, "tokens": one.tokens, **_plain(one.reading)} for one in self.texts],
            "way": {"ends": self.ends, "stages": [stage._asdict() for stage in self.way]},
            "checks": [check._asdict() for check in self.checks],
        }


def _plain(reading: TokenAttribution) -> dict[str, Any]:
    return {name: value.tolist() for name, value in reading._asdict().items()}


def look_closer(
    details: Details,
    model: Any,
    guide: Any,
    fast: FastLoop,
    batches: Sequence[Batch],
    texts: int = 4,
    draws: int = 4,
    seed: int = 0,
    eos_id: int | None = None,
    listener: Callable[[str], None] = lambda what: None,
) -> None:
    """Fill in the details, one after another.

    Args:
        details: to fill.
        model, guide, fast: as for an inspection.
        batches: texts, on the model's device.
        texts: how many of them are read token by token and written anew, spread over all.
        draws: S.
        seed: of all noise; the global random state is left as it was.
        eos_id: the token at which a text is over.
        listener: told what comes next.
    """
    listener("aggregated posterior")
    details.aggregate = aggregate_against_prior(model, guide, fast, batches, seed=seed)
    chosen = list(_few(batches, texts))
    with evaluation_mode(model, guide, seed):
        listener("reading token by token")
        for batch in chosen:
            fast.fit(model, guide, **batch.inputs)
            reading = TokenAttribution(*(part[0].cpu() for part in attribute(model, guide, draws, **batch.inputs)))
            details.texts.append(Text(int(batch.ids[0]), batch.x[0].tolist(), reading))
        if len(chosen) > 1:
            listener("from one text to another")
            first, second = chosen[0].x[0], chosen[-1].x[0]
            details.ends = (int(chosen[0].ids[0]), int(chosen[-1].ids[0]))
            most = min(WRITTEN, model.decoder.length)
            details.way = interpolate(model, guide, fast, first, second, most, seed, eos_id=eos_id)
        if chosen:
            listener("writing with the thoughts of texts")
            details.checks = predictive_checks(model, guide, fast, [batch.x[0] for batch in chosen])
    listener("bound by fast steps")
    for setting in bound_by_steps(model, guide, fast, batches[:1], draws=draws, seed=seed):
        details.dial.append(setting)


def _few(batches: Sequence[Batch], count: int) -> Iterator[Batch]:
    """Texts spread over all, the first and the last among them, each a batch of its own without padding."""
    every = [(batch, row) for batch in batches for row in range(len(batch.x))]
    places = np.unique(np.linspace(0, len(every) - 1, min(count, len(every))).round().astype(int))
    rows = [every[place] for place in places]
    for batch, row in rows:
        scored = torch.ones_like(batch.x[row], dtype=torch.bool) if batch.mask is None else batch.mask[row]

        def kept(part: Tensor, scored: Tensor = scored, row: int = row) -> Tensor:
            return part[row][scored][None]

        one = slice(row, row + 1)
        yield Batch(kept(batch.x), None, batch.previous[one], batch.ids[one], kept(batch.byte_counts))
