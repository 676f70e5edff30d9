"""Training curve of a run: budget spent and bits per byte at each validation."""

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

TIGHTEST = (
    "exact",
    "diffusion",
    "importance_weighted",
    "elbo",
)  # scores for comparisons; a run takes the first that it has
Spent = Literal["tokens", "flops", "hours"]
SPENT: dict[Spent, str] = {"tokens": "tokens seen", "flops": "training FLOPs", "hours": "hours of training"}


class NothingBoundsError(InputError):
    """Error for a run without any bound for a comparison."""


@dataclass(frozen=True)
class TrainingCurve:
    """Validations of a run with the budgets spent.

    Attributes:
        name: name of the run.
        number: key of the compared number: the tightest bound or the exact log-likelihood.
        tokens_per_second: median over the steps of the log, or over `speeds`.
        flops_per_token: training FLOPs per token of this library's loops.
        paper_flops_per_token: training FLOPs per token by the paper's formula.
        points: `tokens`, `flops`, `hours` and `bits_per_byte` at each validation, in order.
        speeds: tokens per second, if they were measured in turn with the other runs.
    """

    name: str
    number: str
    tokens_per_second: float
    flops_per_token: float
    paper_flops_per_token: float
    points: list[dict[str, float]]
    speeds: tuple[float, ...] = ()

    def at_speeds(self, speeds: Sequence[float]) -> TrainingCurve:
        """Curve with hours recomputed from the median of these speeds, in tokens per second."""
        speed = statistics.median(speeds)
        points = [{**point, "hours": point["tokens"] / speed / 3600} for point in self.points]
        return replace(self, tokens_per_second=speed, points=points, speeds=tuple(speeds))


def training_curve_of(
    name: str, metrics: Sequence[dict[str, Any]], model: AbstractModel, guide: Any, fast: FastLoop, slow: SlowStep
) -> TrainingCurve:
    """Training curve of a run from its metrics.

    Args:
        name: name of the run.
        metrics: records of the run's metrics.jsonl, in order.
        model, guide, fast, slow: components of the run, with the fast loop of its training.

    Raises:
        NothingBoundsError: if the run has no bound on the text.
        InputError: if the metrics hold no validation, or none with bits per byte.
    """
    steps = [record for record in metrics if "tokens_per_second" in record]
    validations = [record for record in metrics if "validation" in record]
    scored = [record for record in validations if "bits_per_byte" in record["validation"]]
    if not scored or not steps:
        why = "an earlier version wrote it" if validations else "train it on, or with a smaller --train.evaluate_every"
        raise InputError(f"{name} has no validation in bits per byte to compare: {why}")
    speed = statistics.median(record["tokens_per_second"] for record in steps)
    tokens_at = {record["step"]: record["tokens"] for record in steps}
    number = next((key for key in TIGHTEST if key in scored[-1]["validation"]["bits_per_byte"]), None)
    if number is None:
        raise NothingBoundsError(
            f"{name} has no number to compare: {type(guide).__name__} has no density, so that there is no bound on "
            "log p(x). Train the run with a guide that has a density, such as MeanFieldGuide"
        )
    finite = [record for record in scored if math.isfinite(record["validation"]["bits_per_byte"].get(number, math.nan))]
    if not finite:
        raise NothingBoundsError(
            f"{name} has no validation in bits per byte to compare: its tokenizer loses text, so that its tokens do "
            "not stand for the text's bytes. Train the run with a lossless tokenizer, such as --data.vocabulary makes"
        )
    flops = spent_flops_per_token(model, guide, fast, slow)
    paper = paper_flops_per_token(model.decoder, fast_steps(model, guide, fast))
    points = []
    for record in finite:
        tokens = tokens_at[record["step"]]
        spent = {"tokens": float(tokens), "flops": tokens * flops, "hours": tokens / speed / 3600}
        points.append({**spent, "bits_per_byte": record["validation"]["bits_per_byte"][number]})
    return TrainingCurve(name, number, speed, flops, paper, points)
