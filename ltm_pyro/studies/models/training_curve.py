"""The training curve of a run: what it had spent, and its bits per byte, at each validation."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ltm_pyro.errors import InputError
from ltm_pyro.evaluation.flops import fast_steps, paper_flops_per_token, spent_flops_per_token
from ltm_pyro.inference import FastLoop, SlowStep
from ltm_pyro.models import AbstractModel

TIGHTEST = ("exact", "diffusion", "importance_weighted", "elbo")  # what a run is compared by: the first there is
Spent = Literal["tokens", "flops", "hours"]
SPENT: dict[Spent, str] = {"tokens": "tokens seen", "flops": "training FLOPs", "hours": "hours of training"}


class NothingBoundsError(InputError):
    """A run has no number that it could be compared by."""


@dataclass(frozen=True)
class TrainingCurve:
    """A run's validations.

    Attributes:
        name: of the run.
        number: which number of a validation it is compared by, its tightest bound or its exact log-likelihood.
        tokens_per_second: the median over the steps of its log, or over `speeds`.
        flops_per_token: what its loops spend in training.
        paper_flops_per_token: as the paper counts them.
        points: `tokens`, `flops`, `hours` and `bits_per_byte` at each validation, in order.
        speeds: in tokens a second, where they were measured beside the other runs'.
    """

    name: str
    number: str
    tokens_per_second: float
    flops_per_token: float
    paper_flops_per_token: float
    points: list[dict[str, float]]
    speeds: tuple[float, ...] = ()

    def at_speeds(self, speeds: Sequence[float]) -> TrainingCurve:
        """The same course in the hours that it takes at the median of these speeds, in tokens a second."""
        speed = statistics.median(speeds)
        points = [{**point, "hours": point["tokens"] / speed / 3600} for point in self.points]
        return replace(self, tokens_per_second=speed, points=points, speeds=tuple(speeds))


def training_curve_of(
    name: str, metrics: Sequence[dict[str, Any]], model: AbstractModel, guide: Any, fast: FastLoop, slow: SlowStep
) -> TrainingCurve:
    """Read a run's course from its metrics.

    Args:
        name: what to call it.
        metrics: the records of its metrics.jsonl, in order.
        model, guide, fast, slow: what it is made of, with the fast loop of its training.

    Raises:
        NothingBoundsError: if nothing bounds the text.
        InputError: if it holds no validation, or none with bits per byte.
    """
    steps = [record for record in metrics if "tokens_per_second" in record]
    validations = [record for record in metrics if "validation" in record]
    told = [record for record in validations if "bits_per_byte" in record["validation"]]
    if not told or not steps:
        why = "an earlier version wrote it" if validations else "train it on, or with a smaller --train.evaluate_every"
        raise InputError(f"{name} has no validation in bits per byte to compare: {why}")
    speed = statistics.median(record["tokens_per_second"] for record in steps)
    seen = {record["step"]: record["tokens"] for record in steps}
    number = next((key for key in TIGHTEST if key in told[-1]["validation"]["bits_per_byte"]), None)
    if number is None:
        raise NothingBoundsError(
            f"{name} has no number to compare: q of a {type(guide).__name__} has no density, so that nothing bounds "
            "its text. Train it with a guide that has one, such as MeanFieldGuide"
        )
    told = [record for record in told if math.isfinite(record["validation"]["bits_per_byte"].get(number, math.nan))]
    if not told:
        raise NothingBoundsError(
            f"{name} has no validation in bits per byte to compare: its tokenizer loses text, so that its tokens do "
            "not stand for the text's bytes. Train it with one that keeps every text, as --data.vocabulary makes one"
        )
    each = spent_flops_per_token(model, guide, fast, slow)
    paper = paper_flops_per_token(model.decoder, fast_steps(model, guide, fast))
    points = []
    for record in told:
        tokens = seen[record["step"]]
        spent = {"tokens": float(tokens), "flops": tokens * each, "hours": tokens / speed / 3600}
        points.append({**spent, "bits_per_byte": record["validation"]["bits_per_byte"][number]})
    return TrainingCurve(name, number, speed, each, paper, points)
