"""Detailed inspection: bounds by fast steps, attribution by token, interpolation and predictive checks of texts."""

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

WRITTEN = 48  # generated tokens at each point of an interpolation


class Text(NamedTuple):
    """Text with its attribution by token.

    Attributes:
        id: id of the sequence.
        tokens: token ids, (T,).
        reading: attribution of the text, without the batch dimension.
    """

    id: int
    tokens: list[int]
    reading: TokenAttribution


@dataclass
class Details:
    """Results of a detailed inspection; after an interrupt, the results up to it.

    Attributes:
        dial: bounds by the number of fast steps.
        aggregate: comparison of the aggregated posterior with the prior.
        texts: texts with their attributions by token.
        ends: ids of the two texts of `way`.
        way: interpolation from the thoughts of one text to those of another.
        checks: posterior predictive checks.
    """

    dial: list[StepSweepPoint] = field(default_factory=list)
    aggregate: Aggregate | None = None
    texts: list[Text] = field(default_factory=list)
    ends: tuple[int, int] | None = None
    way: list[InterpolationPoint] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {
            "dial": [
                {
                    "fast_steps": point.steps,
                    "elbo": point.elbo.to_dict(),
                    "importance_weighted": point.importance_weighted.to_dict(),
                    "kl_per_token": point.kl_per_token,
                }
                for point in self.dial
            ],
            "aggregate": self.aggregate and self.aggregate.to_record(),
            "texts": [{"id": text.id, "tokens": text.tokens, **_plain(text.reading)} for text in self.texts],
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
    listener: Callable[[str], None] = lambda stage: None,
) -> None:
    """Fill in the fields of `details`, one after another.

    Args:
        details: results, modified in place.
        model, guide, fast: as for an inspection.
        batches: texts, on the model's device.
        texts: number of texts, spread over all, for attribution and predictive checks.
        draws: S.
        seed: seed of all noise; the global random state is left as it was.
        eos_id: id of the token that ends a text.
        listener: called with the name of the next stage.
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
            tokens = min(WRITTEN, model.decoder.length)
            details.way = interpolate(model, guide, fast, first, second, tokens, seed, eos_id=eos_id)
        if chosen:
            listener("writing with the thoughts of texts")
            details.checks = predictive_checks(model, guide, fast, [batch.x[0] for batch in chosen])
    listener("bound by fast steps")
    for setting in bound_by_steps(model, guide, fast, batches[:1], draws=draws, seed=seed):
        details.dial.append(setting)


def _few(batches: Sequence[Batch], count: int) -> Iterator[Batch]:
    """Evenly spaced texts, the first and the last included, as batches of size 1 without padding."""
    rows = [(batch, row) for batch in batches for row in range(len(batch.x))]
    indices = np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))
    for batch, row in (rows[index] for index in indices):
        scored = torch.ones_like(batch.x[row], dtype=torch.bool) if batch.mask is None else batch.mask[row]

        def unpadded(part: Tensor, scored: Tensor = scored, row: int = row) -> Tensor:
            return part[row][scored][None]

        single = slice(row, row + 1)
        yield Batch(unpadded(batch.x), None, batch.previous[single], batch.ids[single], unpadded(batch.byte_counts))
