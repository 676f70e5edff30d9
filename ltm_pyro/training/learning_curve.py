"""The learning curve of a run, read from its log."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

POINTS = 150  # training steps are averaged to about this number of points
NUMBERS = ("elbo", "log_likelihood", "kl")


def learning_curve(records: Iterable[Mapping[str, Any]], points: int = POINTS) -> list[dict[str, Any]]:
    """Points of a run's curves, in nats per token, in the order of the log.

    Training points are means over equal numbers of steps, of the steps that have the value, placed at the last of
    them. Validation points are as measured.

    Args:
        records: of `metrics.jsonl`, of a finished or an unfinished run.
        points: the most training points.

    Returns:
        Dictionaries with `part` (`training` or `validation`), `steps`, `tokens`, `seconds` (of training, without
        validations) and those that are known of `elbo`, `log_likelihood`, `kl`, `kl_layer_1` and so on.
    """
    steps, validations = [], []
    cost = {"steps": 0, "tokens": 0, "seconds": 0.0}
    for record in records:
        if "validation" in record:
            validations.append({"part": "validation", **cost, **_validated(record["validation"])})
        elif "tokens_per_second" in record:
            seconds = (record["tokens"] - cost["tokens"]) / record["tokens_per_second"]
            cost = {
                "steps": record["step"],
                "tokens": record["tokens"],
                "seconds": cost["seconds"] + seconds,
            }
            steps.append({"part": "training", **cost, **_numbers(record)})
    size = max(1, math.ceil(len(steps) / points))
    means = [_mean(steps[first : first + size]) for first in range(0, len(steps), size)]
    return sorted(means + validations, key=lambda point: point["steps"])


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    layers = {f"kl_layer_{place}": kl for place, kl in enumerate(record.get("kl_per_layer") or [], 1)}
    values = {**{name: record.get(name) for name in NUMBERS}, **layers}
    return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}


def _validated(record: Mapping[str, Any]) -> dict[str, float]:
    """A validation's numbers; its expected log-likelihood is the ELBO plus the KL."""
    values = _numbers(record)
    if "exact" in record:
        return values | {"log_likelihood": record["exact"], "kl": 0.0}
    if "kl" not in values and record.get("kl_per_layer"):
        values["kl"] = sum(record["kl_per_layer"])
    if "elbo" in values and "kl" in values:
        values["log_likelihood"] = values["elbo"] + values["kl"]
    return values


def _mean(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    place = {name: points[-1][name] for name in ("part", "steps", "tokens", "seconds")}
    names = dict.fromkeys(name for point in points for name in point if name not in place)
    values = {name: [point[name] for point in points if name in point] for name in names}
    return place | {name: sum(column) / len(column) for name, column in values.items()}
