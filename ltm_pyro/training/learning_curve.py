"""The learning curve of a run, read from its log."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

POINTS = 150  # training steps are averaged to about as many
NUMBERS = ("elbo", "log_likelihood", "kl")


def learning_curve(records: Iterable[Mapping[str, Any]], points: int = POINTS) -> list[dict[str, Any]]:
    """Points of a run's curves, in nats per token, in the order of the log.

    Training points are means over equally many steps, of those steps that have the number; each stands at the last
    of its steps. Validation points are as they were measured.

    Args:
        records: those of `metrics.jsonl`, of a finished or an unfinished run.
        points: at most how many training points.

    Returns:
        Dictionaries with `part` (`training` or `validation`), `steps`, `tokens`, `seconds` (of training, validations
        left out) and what is known of `elbo`, `log_likelihood`, `kl`, `kl_layer_1` and so on.
    """
    steps, validations = [], []
    place = {"steps": 0, "tokens": 0, "seconds": 0.0}
    for record in records:
        if "validation" in record:
            validations.append({"part": "validation", **place, **_validated(record["validation"])})
        elif "tokens_per_second" in record:
            seconds = (record["tokens"] - place["tokens"]) / record["tokens_per_second"]
            place = {
                "steps": record["step"],
                "tokens": record["tokens"],
                "seconds": place["seconds"] + seconds,
            }
            steps.append({"part": "training", **place, **_numbers(record)})
    size = max(1, math.ceil(len(steps) / points))
    means = [_mean(steps[first : first + size]) for first in range(0, len(steps), size)]
    return sorted(means + validations, key=lambda point: point["steps"])


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    layers = {f"kl_layer_{place}": kl for place, kl in enumerate(record.get("kl_per_layer") or [], 1)}
    found = {**{name: record.get(name) for name in NUMBERS}, **layers}
    return {name: value for name, value in found.items() if value is not None and math.isfinite(value)}


def _validated(record: Mapping[str, Any]) -> dict[str, float]:
    """A validation's numbers; its log-likelihood is the bound with the KL given back."""
    found = _numbers(record)
    if "exact" in record:
        return found | {"log_likelihood": record["exact"], "kl": 0.0}
    if "kl" not in found and record.get("kl_per_layer"):
        found["kl"] = sum(record["kl_per_layer"])
    if "elbo" in found and "kl" in found:
        found["log_likelihood"] = found["elbo"] + found["kl"]
    return found


def _mean(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    place = {name: points[-1][name] for name in ("part", "steps", "tokens", "seconds")}
    names = dict.fromkeys(name for point in points for name in point if name not in place)
    values = {name: [point[name] for point in points if name in point] for name in names}
    return place | {name: sum(own) / len(own) for name, own in values.items()}
